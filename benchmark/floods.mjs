// Live sessions beside ten times as many calls of an attacker, all through one bridge.

import { randomUUID } from 'node:crypto'
import { mintCookie } from '../__test__/support/cookies.mjs'
import { measureCalls } from './measure.mjs'
import { joseOpener } from './open-token.mjs'
import { SECRET } from './seed.mjs'

const IN_FLIGHT = 16
const IN_FLIGHT_OF_FLOOD = 160

/**
 * @param {import('../index.js').AuthBridge} bridge
 * @param {{ cookies: string[], revoked: string, seconds: number }} options
 * @returns {Promise<import('./measure.mjs').Trial[]>} each measures the live sessions alone
 */
export async function floodTrials(bridge, { cookies, revoked, seconds }) {
  const getSession = (/** @type {string} */ cookie) => bridge.getSession(cookie)
  const measure = () => measureCalls(getSession, cookies, { inFlight: IN_FLIGHT, seconds })
  const floods = {
    'a flood of live sessions, to compare': cookies,
    'a flood of one revoked session': [revoked],
    'a flood of unknown sessions': await unknown(cookies),
  }
  return [
    { key: 'no flood', inFlight: IN_FLIGHT, measure },
    ...Object.entries(floods).map(([key, headers]) => ({
      key,
      inFlight: IN_FLIGHT,
      measure: async () => {
        const stop = flood(getSession, headers)
        const sample = await measure()
        await stop()
        return sample
      },
    })),
  ]
}

/** Cookies like these, of sessions that were never there. @param {string[]} cookies */
function unknown(cookies) {
  const open = joseOpener(SECRET)
  return Promise.all(
    cookies.map(async (cookie) =>
      mintCookie({ ...(await open(cookie)), session_id: randomUUID() }, { secret: SECRET }),
    ),
  )
}

/** @param {(cookie: string) => Promise<unknown>} call @param {string[]} headers @returns {() => Promise<unknown>} ends it */
function flood(call, headers) {
  let calls = 0
  let isOver = false
  const flooding = Array.from({ length: IN_FLIGHT_OF_FLOOD }, async () => {
    while (!isOver) await call(headers[calls++ % headers.length] ?? '')
  })
  return () => {
    isOver = true
    return Promise.all(flooding)
  }
}
