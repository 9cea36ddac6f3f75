// Runs timing.rs, and fails if the time that it takes to refuse a token depends on the reason. See README.md in this folder.
//
//   node benchmark/timing.mjs [--measurements=2000000] [--json=file]

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { buildBenchmarks } from './cargo.mjs'
import { INDISTINGUISHABLE } from './indistinguishable.mjs'
import { describeMachine, table } from './report.mjs'

// The greatest t that may be noise: above it dudect calls a difference probable, and from 10 on certain.
const NOISE = 4.5

/**
 * @typedef {object} Comparison
 * @property {boolean} leaky true if each call is followed by a comparison that stops at the first wrong byte of the tag
 * @property {string[]} classes two classes of timing.rs
 * @property {number} measurements
 * @property {number} t the greatest t
 * @property {number} ns mean time of the first class, without the slowest measurements
 * @property {number} differenceNs how much longer the second class takes
 */

const { values: options } = parseArgs({ options: { measurements: { type: 'string' }, json: { type: 'string' } } })
const args = options.measurements ? [`--measurements=${options.measurements}`] : []
const lines = execFileSync(buildBenchmarks(), ['timing', ...args], { encoding: 'utf8' })
  .trim()
  .split('\n')
/** @type {Comparison[]} */
const comparisons = lines.map((line) => JSON.parse(line))

const head = ['', 'measurements', 'ns', 'difference in ns', 't', 'distinguishable']
const rows = comparisons.map(({ leaky, classes, measurements, ns, differenceNs, t }) => {
  const title = classes.join(' / ') + (leaky ? ', leaky' : '')
  return [title, String(measurements), ns.toFixed(0), differenceNs.toFixed(1), t.toFixed(1), t > NOISE ? 'yes' : 'no']
})
console.log(table(head, rows))

if (options.json)
  writeFileSync(options.json, `${JSON.stringify({ machine: describeMachine(), noise: NOISE, comparisons }, null, 2)}\n`)

const mustBeIndistinguishable = (/** @type {string[]} */ classes) =>
  INDISTINGUISHABLE.some((group) => classes.every((name) => group.classes.includes(name)))
for (const { leaky, classes, t } of comparisons) {
  if (leaky && t < NOISE) throw new Error('A leaky comparison was not found: too few measurements, or too much noise')
  if (!leaky && mustBeIndistinguishable(classes) && t > NOISE) {
    throw new Error(`${classes.join(' and ')} are distinguishable by time`)
  }
}
