// Calls without a pause, and what became of each.

import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Keeps `inFlight` calls for one live session on their way until it is stopped.
 *
 * @param {import('../../index.js').AuthBridge} bridge
 * @param {string} cookie
 * @param {string} sessionId what each call that resolves must give
 */
export function startLoad(bridge, cookie, sessionId, inFlight = 16) {
  const outcomes = { answered: 0, wrong: 0, errors: /** @type {Record<string, number>} */ ({}), slowestMs: 0 }
  let running = true

  async function call() {
    const start = performance.now()
    try {
      const body = await bridge.getSession(cookie)
      if (body.session_id === sessionId) outcomes.answered++
      else outcomes.wrong++
    } catch (error) {
      const { code } = /** @type {import('../../index.js').AuthBridgeError} */ (error)
      outcomes.errors[code] = (outcomes.errors[code] ?? 0) + 1
    }
    outcomes.slowestMs = Math.max(outcomes.slowestMs, performance.now() - start)
  }

  async function loop() {
    while (running) {
      await call()
      // So that the load leaves a part of the processor to the server and to the test.
      await sleep(1)
    }
  }

  const loops = Array.from({ length: inFlight }, loop)
  return {
    outcomes,
    /** Until so many calls more have been answered. */
    async answers(count = 50) {
      const enough = outcomes.answered + count
      while (outcomes.answered < enough) await sleep(5)
    },
    async stop() {
      running = false
      await Promise.all(loops)
      return outcomes
    },
  }
}
