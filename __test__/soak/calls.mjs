// The process whose memory `memory.spec.ts` measures. Reads the plan from stdin and prints the result, both as JSON.

import { json } from 'node:stream/consumers'
import { Worker } from 'node:worker_threads'
import { AuthBridge } from '../../index.js'

/** @typedef {{ header: string, sessionId?: string }} Request */
/** @typedef {{ calls: number, workers: number, rounds: number, requests: Request[] }} Plan */

const { calls, workers, rounds, requests } = /** @type {Plan} */ (await json(process.stdin))
const IN_FLIGHT = 64
/** Not measured, since allocators grow at first. */
const WARM_UP = { calls: 20_000, workers: 40 }

const bridge = new AuthBridge()
let wrong = 0

/** Makes `count` calls, of all requests in turn. @param {number} count */
async function call(count) {
  let next = 0
  async function loop() {
    while (next < count) {
      const { header, sessionId } = requests[next++ % requests.length]
      const body = await bridge.getSession(header)
      if (body.session_id !== sessionId) wrong++
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop))
}

const WORKER = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { AuthBridge } = require(workerData.addon)
  const bridge = new AuthBridge()
  const { header } = workerData.request
  const start = () => Array.from({ length: ${IN_FLIGHT} }, () => bridge.getSession(header))
  // Twice, so that some calls have a result while others are in flight.
  Promise.all(start()).then(() => {
    const calls = start()
    parentPort.postMessage('in flight')
    if (workerData.end === 'exit') process.exit()
    return Promise.all(calls)
  })`
const ENDS = ['by itself', 'exit', 'terminate']
const addon = new URL('../../index.js', import.meta.url).pathname

/** Runs `count` worker threads that end with calls in flight, in each way in turn. @param {number} count */
async function runWorkers(count) {
  for (let index = 0; index < count; index++) {
    const end = ENDS[index % ENDS.length]
    const worker = new Worker(WORKER, { eval: true, workerData: { addon, request: requests[0], end } })
    const ended = new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
    if (end === 'terminate') worker.once('message', () => worker.terminate())
    await ended
  }
}

/** Bytes in use after garbage collection. */
function memoryInUse() {
  globalThis.gc?.()
  globalThis.gc?.()
  const { rss, heapUsed } = process.memoryUsage()
  return { rss, heap: heapUsed }
}

await call(calls && WARM_UP.calls)
await runWorkers(workers && WARM_UP.workers)
const memory = []
for (let round = 0; round < rounds; round++) {
  await call(calls / rounds)
  await runWorkers(workers / rounds)
  memory.push(memoryInUse())
}
await bridge.close()
console.log(JSON.stringify({ wrong, memory }))
