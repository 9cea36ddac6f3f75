// (f) and (g): this package.

import { AuthBridge } from '../../index.js'

/** @type {import('./index.mjs').Factory} */
export function bridgeObject({ url, secret }) {
  const bridge = new AuthBridge({ secret, databaseUrl: url, secureCookie: false })
  return {
    name: 'authjs-bridge, object',
    packages: ['authjs-bridge'],
    pool: 'its own, as it comes',
    differs: 'All that the README of the package lists',
    getSession: (cookie) => bridge.getSession(cookie),
    close: () => bridge.close(),
  }
}

/** @type {import('./index.mjs').Factory} */
export function bridgeJson({ url, secret }) {
  const bridge = new AuthBridge({ secret, databaseUrl: url, secureCookie: false })
  return {
    name: 'authjs-bridge, JSON text',
    packages: ['authjs-bridge'],
    pool: 'its own, as it comes',
    differs: 'As (f), as a text that a response can be made of as it stands',
    getSession: (cookie) => bridge.getSessionJson(cookie),
    close: () => bridge.close(),
  }
}
