// Keeps calling `getSession`, and counts the results.

import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Keeps `inFlight` calls in flight until it is stopped, for these sessions in turn.
 *
 * @param {import('../../index.js').AuthBridge} bridge
 * @param {{ cookie: string, sessionId: string | undefined }[]} sessions the cookie of each session, and its id if it is live
 */
export function startLoad(bridge, sessions, { inFlight = 16, pauseMs = 1 } = {}) {
  const errors = /** @type {Record<string, number>} */ ({})
  const outcomes = { started: 0, answered: 0, wrong: 0, errors, slowestMs: 0 }
  let running = true

  async function call() {
    const start = performance.now()
    const { cookie, sessionId } = sessions[outcomes.started++ % sessions.length]
    try {
      const body = await bridge.getSession(cookie)
      if (body.session_id === sessionId) outcomes.answered++
      else outcomes.wrong++
    } catch (error) {
      const { code } = /** @type {import('../../index.js').AuthBridgeError} */ (error)
      errors[code] = (errors[code] ?? 0) + 1
      // Slows down the calls while they fail at once.
      await sleep(1)
    }
    outcomes.slowestMs = Math.max(outcomes.slowestMs, performance.now() - start)
  }

  async function loop() {
    while (running) {
      await call()
      // Leaves CPU time to the server and to the test.
      if (pauseMs > 0) await sleep(pauseMs)
    }
  }

  const loops = Array.from({ length: inFlight }, loop)
  return {
    outcomes,
    /** Resolves when `count` more calls have resolved. */
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
