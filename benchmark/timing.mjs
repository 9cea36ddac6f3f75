// Whether time tells why a token is refused: runs timing.rs, and judges. See README.md beside this file.
//
//   node benchmark/timing.mjs [--measurements=2000000] [--json=file]

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { ALIKE } from './alike.mjs'
import { buildBenchmarks } from './cargo.mjs'
import { describeMachine, table } from './report.mjs'

// Beyond it dudect calls a difference probable, and from 10 on certain.
const NOISE = 4.5

/**
 * Of the classes of timing.rs.
 *
 * @typedef {object} Comparison
 * @property {boolean} leaky whether a comparison that stops at the first wrong byte of the tag came after each call
 * @property {string[]} classes
 * @property {number} measurements
 * @property {number} t the greatest
 * @property {number} ns mean of the first class, below the median of the percentiles
 * @property {number} differenceNs how much more the second class takes there
 */

const { values: options } = parseArgs({ options: { measurements: { type: 'string' }, json: { type: 'string' } } })
const args = options.measurements ? [`--measurements=${options.measurements}`] : []
const [program = ''] = buildBenchmarks('timing')
const lines = execFileSync(program, args, { encoding: 'utf8' }).trim().split('\n')
/** @type {Comparison[]} */
const comparisons = lines.map((line) => JSON.parse(line))

const head = ['', 'measurements', 'ns', 'difference in ns', 't', 'told apart']
const rows = comparisons.map(({ leaky, classes, measurements, ns, differenceNs, t }) => {
  const title = classes.join(' / ') + (leaky ? ', leaky' : '')
  return [title, String(measurements), ns.toFixed(0), differenceNs.toFixed(1), t.toFixed(1), t > NOISE ? 'yes' : 'no']
})
console.log(table(head, rows))

if (options.json)
  writeFileSync(options.json, `${JSON.stringify({ machine: describeMachine(), noise: NOISE, comparisons }, null, 2)}\n`)

const mustBeAlike = (/** @type {string[]} */ classes) =>
  ALIKE.some((alike) => classes.every((name) => alike.classes.includes(name)))
for (const { leaky, classes, t } of comparisons) {
  if (leaky && t < NOISE) throw new Error('A leaky comparison was not found: too few measurements, or too much noise')
  if (!leaky && mustBeAlike(classes) && t > NOISE) throw new Error(`${classes.join(' and ')} are told apart`)
}
