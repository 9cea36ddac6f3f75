// Measures calls, in rounds that interleave everything that is compared.

import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'

/** The median, minimum and maximum over the rounds. @typedef {{ median: number, min: number, max: number }} Spread */

/**
 * Metrics by name; times in µs.
 * @typedef {Record<string, number>} Sample
 */

/** @typedef {{ key: string, inFlight: number, measure: () => Sample | Promise<Sample> }} Trial */
/** @typedef {{ key: string, inFlight: number, metrics: Record<string, Spread> }} Result */

// Before each measurement the calls run for this share of its duration, unmeasured: until the contestant's code is in the
// caches again, and recompiled where V8 has discarded it.
const LEAD_IN = 1 / 3

/**
 * The options `--short`, `--rounds` and `--seconds` of a benchmark whose goals are stated for 20 rounds of a second.
 */
export function readRounds() {
  const { values } = parseArgs({
    options: {
      short: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
    },
  })
  const { short } = values
  return {
    short,
    rounds: Number(values.rounds ?? (short ? 1 : 20)),
    seconds: Number(values.seconds ?? (short ? 0.05 : 1)),
  }
}

/**
 * Each round runs every trial once and starts with another one. With `warmUp`, an extra first round is not counted.
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
 * Keeps `inFlight` calls in flight for some seconds: when one ends, the next starts.
 *
 * @param {(input: string) => unknown} call may return a promise
 * @param {string[]} inputs taken in turn
 * @param {{ inFlight: number, seconds: number, serverTime?: () => number }} options `serverTime` returns the CPU time of the
 *   database server so far, in µs
 * @returns {Promise<Sample>}
 */
export async function measureCalls(call, inputs, { inFlight, seconds, serverTime }) {
  await keepCalling(call, inputs, { inFlight, seconds: seconds * LEAD_IN })
  const ofServer = serverTime?.() ?? 0
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
    ...(serverTime && { serverCpu: (serverTime() - ofServer) / calls }),
    eventLoop: (active * 1000) / calls,
  }
}

/**
 * CPU time that calls take on the event loop's thread, whatever they return. Measured by the scheduler, so other processes
 * don't distort it. On Linux only.
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

/** CPU time of this thread, in µs. */
function threadTime() {
  const [onCpu] = readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')
  return Number(onCpu) / 1000
}

/**
 * @param {(input: string) => unknown} call
 * @param {string[]} inputs
 * @param {{ inFlight: number, seconds: number }} options
 * @returns {Promise<number[]>} the latency of each call, in ms
 */
async function keepCalling(call, inputs, { inFlight, seconds }) {
  /** @type {number[]} */
  const latencies = []
  let calls = 0
  let unauthenticated = 0
  const end = performance.now() + seconds * 1000
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      for (let now = performance.now(); now < end; ) {
        const result = await call(inputs[calls++ % inputs.length])
        const start = now
        now = performance.now()
        latencies.push(now - start)
        if (!isSession(result)) unauthenticated += 1
      }
    }),
  )
  if (unauthenticated > 0) throw new Error(`${unauthenticated} of ${calls} calls found no session`)
  return latencies
}

/** True for a session object, its JSON or claims; false for `{}`. @param {unknown} result */
function isSession(result) {
  if (typeof result === 'string') return result.length > 2
  return typeof result === 'object' && result !== null && 'session_id' in result
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
