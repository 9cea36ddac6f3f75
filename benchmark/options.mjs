// Parses the command line of session-check.mjs.

import { parseArgs } from 'node:util'
import { LETTERS } from './contestants/index.mjs'

const IN_FLIGHT = '1,16,64,256'
const RESULTS = new URL('results/', import.meta.url)

export function readOptions() {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      'in-flight': { type: 'string', default: IN_FLIGHT },
      only: { type: 'string' },
      short: { type: 'boolean', default: false },
      network: { type: 'boolean', default: false },
      latency: { type: 'string', multiple: true, default: [] },
      slow: { type: 'boolean', default: false },
      json: { type: 'string' },
      chart: { type: 'string' },
    },
  })
  const { short } = values
  const network = values.network || values.latency.length > 0 || values.slow
  // Half a second is too short to measure stalls of 200 ms.
  const seconds = number('seconds', values.seconds ?? (short ? '0.05' : network ? '1' : '0.5'))
  // Only a complete run overwrites the files in results/.
  const isComplete = !values.only && values['in-flight'] === IN_FLIGHT && values.latency.length === 0 && !values.slow
  const file = (/** @type {string | undefined} */ given, /** @type {string} */ defaultName) => {
    if (short) return null
    return given ?? (isComplete ? new URL(defaultName, RESULTS) : null)
  }
  return {
    short,
    network,
    seconds,
    rounds: number('rounds', values.rounds ?? (short ? '1' : '5')),
    inFlight: values['in-flight'].split(',').map((calls) => number('in-flight', calls)),
    letters: values.only?.split(',') ?? LETTERS,
    networkLetters: values.only?.split(',') ?? ['b', 'd', 'e', 'f', 'g'],
    latencies: values.latency.map((latency) => number('latency', latency)),
    slow: values.slow,
    json: network ? (values.json ?? null) : file(values.json, 'session-check.json'),
    chart: file(values.chart, 'session-check.svg'),
  }
}

/** @typedef {ReturnType<typeof readOptions>} Options */

/** @param {string} name @param {string} text */
function number(name, text) {
  const value = Number(text)
  if (!(value > 0)) throw new Error(`--${name} must be a number above 0, not "${text}"`)
  return value
}
