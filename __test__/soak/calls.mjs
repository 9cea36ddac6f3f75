// What `memory.spec.ts` measures, in a process that does nothing else. Reads the plan and prints the result, as JSON.

import { json } from 'node:stream/consumers'
import { Worker } from 'node:worker_threads'
import { AuthBridge } from '../../index.js'

/** @typedef {{ header: string, sessionId?: string }} Request */
/** @typedef {{ calls: number, workers: number, rounds: number, requests: Request[] }} Plan */

const { calls, workers, rounds, requests } = /** @type {Plan} */ (await json(process.stdin))
const IN_FLIGHT = 64
/** Not measured: until then, allocators take what they keep. */
const WARM_UP = { calls: 20_000, workers: 40 }

const bridge = new AuthBridge()
let wrong = 0

/** So many calls, of all kinds in turn. @param {number} count */
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
  // Two times, so that some are answered when the others are in flight.
  Promise.all(start()).then(() => {
    const calls = start()
    parentPort.postMessage('in flight')
    if (workerData.end === 'exit') process.exit()
    return Promise.all(calls)
  })`
const ENDS = ['by itself', 'exit', 'terminate']
const addon = new URL('../../index.js', import.meta.url).pathname

/** Worker threads that end with calls in flight, in one way after the other. @param {number} count */
async function work(count) {
  for (let index = 0; index < count; index++) {
    const end = ENDS[index % ENDS.length]
    const worker = new Worker(WORKER, { eval: true, workerData: { addon, request: requests[0], end } })
    const ended = new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
    if (end === 'terminate') worker.once('message', () => worker.terminate())
    await ended
  }
}

/** Bytes in use when all rubbish is collected. */
function memoryInUse() {
  globalThis.gc?.()
  globalThis.gc?.()
  const { rss, heapUsed } = process.memoryUsage()
  return { rss, heap: heapUsed }
}

await call(calls && WARM_UP.calls)
await work(workers && WARM_UP.workers)
const memory = []
for (let round = 0; round < rounds; round++) {
  await call(calls / rounds)
  await work(workers / rounds)
  memory.push(memoryInUse())
}
await bridge.close()
console.log(JSON.stringify({ wrong, memory }))
