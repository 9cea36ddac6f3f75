// The contestants, by letter.

import { authHandler, authToken } from './auth-core.mjs'
import { batched } from './batched.mjs'
import { bridgeJson, bridgeObject } from './bridge.mjs'
import { jose, nodeCrypto } from './postgres-js.mjs'

/** @typedef {(app: { url: string, secret: string }) => Contestant} Factory */

/**
 * @typedef {object} Contestant
 * @property {string} name
 * @property {string[]} packages whose versions are reported
 * @property {string} pool its connections to the database
 * @property {string} differs what it does or lacks compared to the others
 * @property {(cookieHeader: string) => Promise<object | string>} getSession resolves with the session object or its JSON
 * @property {() => Promise<void>} close
 */

/** @type {Record<string, Factory>} */
const FACTORIES = {
  a: authHandler,
  b: authToken,
  c: jose,
  d: nodeCrypto,
  e: batched,
  f: bridgeObject,
  g: bridgeJson,
}

export const LETTERS = Object.keys(FACTORIES)

/**
 * @param {string[]} letters
 * @param {Parameters<Factory>[0]} app
 * @returns {Map<string, Contestant>}
 */
export function openContestants(letters, app) {
  return new Map(
    letters.map((letter) => {
      const factory = FACTORIES[letter]
      if (!factory) throw new Error(`no contestant ${letter}: there are ${LETTERS.join()}`)
      return [letter, factory(app)]
    }),
  )
}

/** @param {Map<string, Contestant>} contestants */
export async function closeContestants(contestants) {
  await Promise.all([...contestants.values()].map((contestant) => contestant.close()))
}
