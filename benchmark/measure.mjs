// What calls cost, in rounds that interleave all that is compared.

import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'

/** A median with the least and the greatest of its rounds. @typedef {{ median: number, min: number, max: number }} Spread */

/**
 * By name; times in µs.
 * @typedef {Record<string, number>} Sample
 */

/** @typedef {{ key: string, inFlight: number, measure: () => Sample | Promise<Sample> }} Trial */
/** @typedef {{ key: string, inFlight: number, metrics: Record<string, Spread> }} Result */

// What runs before each measurement, as a part of it: until the code of this contestant is back in the caches, and compiled
// again where that was dropped meanwhile.
const LEAD_IN = 1 / 3

/**
 * Each round runs every trial once, beginning with another one. The first round is warm-up.
 *
 * @param {Trial[]} trials
 * @param {{ rounds: number, warmUp: boolean, onRound?: (round: number) => void }} options
 * @returns {Promise<Result[]>}
 */
export async function runRounds(trials, { rounds, warmUp, onRound }) {
  /** @type {Map<Trial, Sample[]>} */
  const samples = new Map(trials.map((trial) => [trial, []]))
  for (let round = warmUp ? 0 : 1; round <= rounds; round++) {
    onRound?.(round)
    const first = Math.floor((round / (rounds + 1)) * trials.length)
    for (const trial of [...trials.slice(first), ...trials.slice(0, first)]) {
      const sample = await trial.measure()
      if (round > 0) samples.get(trial)?.push(sample)
    }
  }
  return trials.map((trial) => {
    const { key, inFlight } = trial
    return { key, inFlight, metrics: spreads(samples.get(trial) ?? []) }
  })
}

/**
 * Keeps `inFlight` calls going for some seconds, as one ends the next begins.
 *
 * @param {(input: string) => unknown} call may answer at once, or with a promise
 * @param {string[]} inputs taken in turn
 * @param {{ inFlight: number, seconds: number }} options
 * @returns {Promise<Sample>}
 */
export async function measureCalls(call, inputs, { inFlight, seconds }) {
  await keepCalling(call, inputs, { inFlight, seconds: seconds * LEAD_IN })
  const cpu = process.cpuUsage()
  const loop = performance.eventLoopUtilization()
  const start = performance.now()
  const latencies = await keepCalling(call, inputs, { inFlight, seconds })
  const elapsed = performance.now() - start
  const { active } = performance.eventLoopUtilization(loop)
  const { user, system } = process.cpuUsage(cpu)
  latencies.sort((one, other) => one - other)
  const calls = latencies.length
  const percentile = (/** @type {number} */ part) => 1000 * (latencies[Math.ceil(part * calls) - 1] ?? 0)
  return {
    callsPerSecond: calls / (elapsed / 1000),
    p50: percentile(0.5),
    p95: percentile(0.95),
    p99: percentile(0.99),
    cpu: (user + system) / calls,
    eventLoop: (active * 1000) / calls,
  }
}

/**
 * What calls take of the event loop's thread, whatever they answer: by the scheduler's count, so without what other
 * processes take. On Linux only.
 *
 * @param {(input: string) => Promise<unknown>} call
 * @param {string[]} inputs taken in turn
 * @param {{ inFlight: number, calls: number }} options
 * @returns {Promise<Sample>}
 */
export async function measureLoop(call, inputs, { inFlight, calls }) {
  let started = 0
  const start = threadTime()
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (started < calls) await call(inputs[started++ % inputs.length] ?? '')
    }),
  )
  return { eventLoop: (threadTime() - start) / calls }
}

/** In µs. */
function threadTime() {
  const [onCpu] = readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')
  return Number(onCpu) / 1000
}

/**
 * @param {(input: string) => unknown} call
 * @param {string[]} inputs
 * @param {{ inFlight: number, seconds: number }} options
 * @returns {Promise<number[]>} how long each call took, in ms
 */
async function keepCalling(call, inputs, { inFlight, seconds }) {
  /** @type {number[]} */
  const latencies = []
  let calls = 0
  let refused = 0
  const end = performance.now() + seconds * 1000
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      for (let now = performance.now(); now < end; ) {
        const answer = await call(inputs[calls++ % inputs.length])
        const then = now
        now = performance.now()
        latencies.push(now - then)
        if (!isSession(answer)) refused += 1
      }
    }),
  )
  if (refused > 0) throw new Error(`${refused} of ${calls} calls found no session`)
  return latencies
}

/** A body, its text, or claims; not `{}`. @param {unknown} answer */
function isSession(answer) {
  if (typeof answer === 'string') return answer.length > 2
  return typeof answer === 'object' && answer !== null && 'session_id' in answer
}

/** @param {Sample[]} samples @returns {Record<string, Spread>} */
function spreads(samples) {
  return Object.fromEntries(
    Object.keys(samples[0] ?? {}).map((name) => {
      const values = samples.map((sample) => sample[name] ?? 0).sort((one, other) => one - other)
      const middle = (values.length - 1) / 2
      const median = ((values[Math.floor(middle)] ?? 0) + (values[Math.ceil(middle)] ?? 0)) / 2
      const spread = { median, min: values[0] ?? 0, max: values.at(-1) ?? 0 }
      return [name, /** @type {Spread} */ (mapValues(spread, (value) => Number(value.toPrecision(5))))]
    }),
  )
}

/** @param {Record<string, number>} object @param {(value: number) => number} change */
function mapValues(object, change) {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]))
}
