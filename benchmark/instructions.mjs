// How many instructions the pure path takes: a figure that no noise changes. Fails where they are more than on record, and
// where they tell why a token is refused. Needs valgrind.
//
//   node benchmark/instructions.mjs [--record]

import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { ALIKE } from './alike.mjs'
import { buildBenchmarks } from './cargo.mjs'
import { damagedHeaders } from './headers.mjs'
import { SECRET } from './seed.mjs'

const RECORD = new URL('results/instructions.json', import.meta.url)
const MARGIN = 0.05
/** Of little, that part would be next to nothing. */
const MARGIN_INSTRUCTIONS = 1000
const READS = 500
const DAMAGED_READS = 3

/** By what was counted. @typedef {Record<string, number>} Counts */
/** @typedef {{ name: string, program: string, args: string[], calls: number }} Reading */

const { values: options } = parseArgs({ options: { record: { type: 'boolean', default: false } } })
const platform = `${process.arch}-${process.platform}`
/** @type {Record<string, Counts>} */
const records = JSON.parse(readFileSync(RECORD, 'utf8'))
const recorded = records[platform] ?? {}
const [read = '', timing = ''] = buildBenchmarks('read', 'timing')

await assertAlike()
const counts = await countReadings()
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
async function assertAlike() {
  const names = ALIKE.flatMap(({ classes }) => classes)
  const each = await count(names.map((name) => ({ name, program: timing, args: [`--class=${name}`], calls: READS })))
  for (const { classes, within } of ALIKE) {
    const found = classes.map((name) => Number(each[name]))
    console.log(`${found.join(', ')} instructions to refuse ${classes.join(', ')}`)
    if (!(Math.max(...found) - Math.min(...found) <= within)) throw new Error('These must not be told apart')
  }
}

async function countReadings() {
  const folder = mkdtempSync(join(tmpdir(), 'authjs-bridge-headers-'))
  try {
    const damaged = Object.entries(damagedHeaders(SECRET)).map(([name, header], index) => {
      const file = join(folder, String(index))
      writeFileSync(file, header)
      return { name, program: read, args: [`--header=${file}`], calls: DAMAGED_READS }
    })
    return await count([{ name: 'a session', program: read, args: [], calls: READS }, ...damaged])
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

/** Instructions of a call; as many at a time as there are processors, which changes nothing. @param {Reading[]} readings */
async function count(readings) {
  /** @type {Counts} */
  const counts = Object.fromEntries(readings.map(({ name }) => [name, Number.NaN]))
  const waiting = [...readings]
  await Promise.all(
    Array.from({ length: availableParallelism() }, async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) counts[next.name] = await perCall(next)
    }),
  )
  return counts
}

/** The difference leaves out what is done once. @param {Reading} reading */
async function perCall({ program, args, calls }) {
  const often = await instructions(program, args, 2 * calls)
  return Math.round((often - (await instructions(program, args, calls))) / calls)
}

/** @param {string} program @param {string[]} args @param {number} count */
async function instructions(program, args, count) {
  const callgrind = ['--tool=callgrind', '--callgrind-out-file=/dev/null', program, ...args, `--count=${count}`]
  // Without the newer instructions of some processors, so that OpenSSL does the same on all.
  const env = { ...process.env, OPENSSL_ia32cap: ':0' }
  const { stderr } = await promisify(execFile)('valgrind', callgrind, { env }).catch((cause) => {
    throw new Error('callgrind failed; is valgrind installed?', { cause })
  })
  const [, collected] = /Collected : (\d+)/.exec(stderr) ?? []
  if (!collected) throw new Error(`callgrind counted nothing:\n${stderr}`)
  return Number(collected)
}
