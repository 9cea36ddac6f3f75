// Delays bytes and delivers them in order, each as soon as its own delay and its predecessors allow.

import { performance } from 'node:perf_hooks'

// The timers of Node.js may be two or three milliseconds late. For shorter delays, the thread sleeps this long at a time and
// lets the event loop read the sockets after each sleep.
const SLEEP_MS = 0.1
const TIMER_ERROR_MS = 3

/** @type {Set<DelayLine>} */
const waiting = new Set()
const sleep = new Int32Array(new SharedArrayBuffer(4))
let running = false

export class DelayLine {
  /** @type {{ bytes: Buffer, due: number }[]} */
  #queue = []
  #deliver

  /** @param {(bytes: Buffer) => void} deliver */
  constructor(deliver) {
    this.#deliver = deliver
  }

  /** When the first bytes are due, in ms of `performance.now()`. */
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
  const remaining = next - performance.now()
  if (remaining > TIMER_ERROR_MS) {
    // Not running until then, so that `push` restarts the loop for bytes that are due sooner.
    running = false
    setTimeout(wake, remaining - TIMER_ERROR_MS)
    return
  }
  if (remaining > 0) Atomics.wait(sleep, 0, 0, Math.min(remaining, SLEEP_MS))
  setImmediate(deliverDue)
}

function wake() {
  if (running) return
  running = true
  deliverDue()
}
