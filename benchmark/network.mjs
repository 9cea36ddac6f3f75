// Compares the contestants with network latency to the database, or with some slow queries.

import { closeContestants, openContestants } from './contestants/index.mjs'
import { assertSameResults } from './equality.mjs'
import { measureCalls, runRounds } from './measure.mjs'
import { startProxy } from './proxy.mjs'
import { SECRET } from './seed.mjs'

const COOKIES_TO_COMPARE = 50

/** @typedef {import('./proxy.mjs').Network & { title: string }} Scenario */

/** @param {number} latencyMs @returns {Scenario} */
export function distant(latencyMs) {
  return { title: `each round trip takes ${latencyMs} ms longer`, latencyMs, slowEvery: 0, slowMs: 0 }
}

/** @type {Scenario} */
export const SLOW = { title: '1 of 100 queries takes 200 ms longer', latencyMs: 0, slowEvery: 100, slowMs: 200 }

/**
 * @param {string} url
 * @param {Scenario} scenario
 * @param {{ letters: string[], requests: import('./seed.mjs').Requests,
 *   inFlight: number[], seconds: number, rounds: number, warmUp: boolean, onRound: (round: number) => void }} options
 */
export async function runScenario(url, scenario, { letters, requests, inFlight, seconds, ...rounds }) {
  const proxy = await startProxy(url, scenario)
  try {
    const contestants = openContestants(letters, { url: proxy.url, secret: SECRET })
    try {
      const { cookies, others } = requests
      await assertSameResults(contestants, { cookies: cookies.slice(0, COOKIES_TO_COMPARE), others })
      const trials = inFlight.flatMap((calls) =>
        [...contestants].map(([key, { getSession }]) => ({
          key,
          inFlight: calls,
          measure: () => measureCalls(getSession, cookies, { inFlight: calls, seconds }),
        })),
      )
      return await runRounds(trials, rounds)
    } finally {
      await closeContestants(contestants)
    }
  } finally {
    await proxy.stop()
  }
}
