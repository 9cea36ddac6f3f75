// How many instructions the pure path takes: a figure that no noise changes. Fails where they are more than on record, and
// where they tell why a token is refused. Needs valgrind.
//
//   npm run bench:instructions [-- --record]

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ALIKE } from './alike.mjs'
import { buildBenchmark } from './cargo.mjs'
import { damagedHeaders } from './headers.mjs'
import { SECRET } from './seed.mjs'

const RECORD = new URL('results/instructions.json', import.meta.url)
const MARGIN = 0.05
/** Of little, that part would be next to nothing. */
const MARGIN_INSTRUCTIONS = 1000
const READS = 500
const DAMAGED_READS = 3

/** By what was counted. @typedef {Record<string, number>} Counts */

const { values: options } = parseArgs({ options: { record: { type: 'boolean', default: false } } })
const platform = `${process.arch}-${process.platform}`
/** @type {Record<string, Counts>} */
const records = JSON.parse(readFileSync(RECORD, 'utf8'))
const recorded = records[platform] ?? {}
const [readProgram, timingProgram] = ['read', 'timing'].map(buildBenchmark)

assertAlike()
const counts = { 'a session': perCall(readProgram, [], READS), ...countDamaged() }
for (const [name, count] of Object.entries(counts)) {
  console.log(`${count} instructions to read ${name}, on record for ${platform}: ${recorded[name] ?? 'none'}`)
}
const [worst] = Object.entries(counts).sort(([, one], [, other]) => other - one)
console.log(`The most: ${worst?.join(', ')}`)
if (options.record) {
  writeFileSync(RECORD, `${JSON.stringify({ ...records, [platform]: counts }, null, 2)}\n`)
} else {
  assertNoMore()
}

/** That it takes the same to refuse a token, whatever is wrong with it. */
function assertAlike() {
  for (const { classes, within } of ALIKE) {
    const each = classes.map((name) => perCall(timingProgram, [`--class=${name}`], READS))
    console.log(`${each.join(', ')} instructions to refuse ${classes.join(', ')}`)
    if (Math.max(...each) - Math.min(...each) > within) throw new Error('These must not be told apart')
  }
}

/** @returns {Counts} */
function countDamaged() {
  const folder = mkdtempSync(join(tmpdir(), 'authjs-bridge-headers-'))
  try {
    const file = join(folder, 'header')
    const counts = Object.entries(damagedHeaders(SECRET)).map(([name, header]) => {
      writeFileSync(file, header)
      return [name, perCall(readProgram, [`--header=${file}`], DAMAGED_READS)]
    })
    return Object.fromEntries(counts)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function assertNoMore() {
  for (const [name, count] of Object.entries(counts)) {
    const most = recorded[name]
    if (most === undefined) throw new Error(`${name}: not on record for this platform; run again with --record`)
    if (count > most + Math.max(most * MARGIN, MARGIN_INSTRUCTIONS)) {
      throw new Error(`${name}: more than is on record; if that is meant, run again with --record`)
    }
  }
}

/** The difference leaves out what is done once. @param {string} program @param {string[]} args @param {number} calls */
function perCall(program, args, calls) {
  return Math.round((instructions(program, args, 2 * calls) - instructions(program, args, calls)) / calls)
}

/** @param {string} program @param {string[]} args @param {number} count */
function instructions(program, args, count) {
  const callgrind = ['--tool=callgrind', '--callgrind-out-file=/dev/null', program, ...args, `--count=${count}`]
  // Without the newer instructions of some processors, so that OpenSSL does the same on all.
  const env = { ...process.env, OPENSSL_ia32cap: ':0' }
  const { status, stderr, error } = spawnSync('valgrind', callgrind, { env, encoding: 'utf8' })
  if (error) throw new Error('valgrind is needed: apt-get install valgrind', { cause: error })
  const [, collected] = /Collected : (\d+)/.exec(stderr) ?? []
  if (status !== 0 || !collected) throw new Error(`callgrind failed:\n${stderr}`)
  return Number(collected)
}
