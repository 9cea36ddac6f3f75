// (f) and (g): this package.

import { AuthBridge } from '../../index.js'

/** @type {import('./index.mjs').Factory} */
export function bridgeObject({ url, secret }) {
  const bridge = new AuthBridge({ secret, databaseUrl: url, secureCookie: false })
  return {
    name: 'authjs-bridge, object',
    packages: ['authjs-bridge'],
    pool: 'its own, default settings',
    differs: 'Everything that the README of the package lists',
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
    pool: 'its own, default settings',
    differs: 'Like (f), as text that can be sent as a response body',
    getSession: (cookie) => bridge.getSessionJson(cookie),
    close: () => bridge.close(),
  }
}
