// A process of its own with an `AuthBridge`, which makes the calls that its parent sends. See `processes.ts`.

import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { AuthBridge } from '../../index.js'

const bridge = new AuthBridge(JSON.parse(process.env.BRIDGE_OPTIONS ?? '{}'))
const IN_FLIGHT = 16
/** An answer that is kept comes without a turn of the event loop, which other answers and messages need. */
const CALLS_PER_TURN = 100

/** @typedef {{ id: number, method: keyof AuthBridge | 'readMany' | 'finish', args: unknown[] }} Message */

/** How many more calls `readMany` makes. */
let left = 0

process.on('message', async (/** @type {Message} */ { id, method, args }) => {
  /** @type {(...args: any[]) => Promise<unknown>} */
  // @ts-expect-error any of its methods
  const call = { readMany, finish }[method] ?? bridge[method].bind(bridge)
  const settled = await Promise.resolve(call(...args)).then(
    (/** @type {unknown} */ value) => ({ value }),
    (/** @type {{ code: string, message: string }} */ { code, message }) => ({ error: { code, message } }),
  )
  process.send?.({ id, ...settled })
})
process.on('disconnect', () => bridge.close())
process.send?.({ id: 0 })

/** Makes `readMany` end. */
async function finish() {
  left = 0
}

/**
 * Reads sessions in random order: when the last call began that got each, in ms of the machine's monotonic clock. Calls that reject don't
 * count as read.
 *
 * @param {string[]} cookies
 * @param {number} calls
 */
async function readMany(cookies, calls) {
  const lastLive = cookies.map(() => 0)
  left = calls
  let failures = 0
  async function read() {
    while (left-- > 0) {
      const index = Math.floor(Math.random() * cookies.length)
      const began = Number(process.hrtime.bigint()) / 1e6
      try {
        const session = await bridge.getSession(cookies[index])
        if ('session_id' in session) lastLive[index] = Math.max(lastLive[index] ?? 0, began)
      } catch {
        left++
        failures++
        await sleep(5)
      }
      // Without an end it leaves the processor to others.
      if (left === Infinity) await sleep(1)
      else if (left % CALLS_PER_TURN === 0) await setImmediate()
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, read))
  const { cache, listener } = bridge.stats()
  return { lastLive, failures, cache, listener }
}
