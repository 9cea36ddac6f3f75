// Hands bytes on later, in order, without keeping those behind longer than they must wait.

import { performance } from 'node:perf_hooks'

// Node's timers are right to two or three milliseconds. What is due sooner is waited for in naps of this length, with a look
// at the sockets after each.
const NAP_MS = 0.1
const TIMER_ERROR_MS = 3

/** @type {Set<DelayLine>} */
const waiting = new Set()
const nap = new Int32Array(new SharedArrayBuffer(4))
let running = false

export class DelayLine {
  /** @type {{ bytes: Buffer, due: number }[]} */
  #queue = []
  #deliver

  /** @param {(bytes: Buffer) => void} deliver */
  constructor(deliver) {
    this.#deliver = deliver
  }

  /** When the first bytes are due. */
  get due() {
    return this.#queue[0]?.due ?? Number.POSITIVE_INFINITY
  }

  /** @param {Buffer} bytes @param {number} delayMs */
  push(bytes, delayMs) {
    if (bytes.length === 0) return
    if (delayMs === 0 && this.#queue.length === 0) return this.#deliver(bytes)
    this.#queue.push({ bytes, due: Math.max(performance.now() + delayMs, this.#queue.at(-1)?.due ?? 0) })
    waiting.add(this)
    if (running) return
    running = true
    setImmediate(deliverDue)
  }

  /** @param {number} now */
  deliverUntil(now) {
    while (this.due <= now) this.#deliver(/** @type {{ bytes: Buffer }} */ (this.#queue.shift()).bytes)
    if (this.#queue.length === 0) waiting.delete(this)
  }

  close() {
    this.#queue = []
    waiting.delete(this)
  }
}

function deliverDue() {
  const now = performance.now()
  let next = Number.POSITIVE_INFINITY
  for (const line of waiting) {
    line.deliverUntil(now)
    next = Math.min(next, line.due)
  }
  running = waiting.size > 0
  if (!running) return
  const rest = next - performance.now()
  if (rest > TIMER_ERROR_MS) {
    // Something due sooner may come in meanwhile.
    running = false
    setTimeout(wake, rest - TIMER_ERROR_MS)
    return
  }
  if (rest > 0) Atomics.wait(nap, 0, 0, Math.min(rest, NAP_MS))
  setImmediate(deliverDue)
}

function wake() {
  if (running) return
  running = true
  deliverDue()
}
