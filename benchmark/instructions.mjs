// Counts the instructions of reading a cookie, a figure without noise. Fails if they are more than recorded, or if their
// number depends on why a token is refused. Needs valgrind.
//
//   node benchmark/instructions.mjs [--record]

import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { buildBenchmarks } from './cargo.mjs'
import { damagedHeaders } from './headers.mjs'
import { INDISTINGUISHABLE } from './indistinguishable.mjs'
import { SECRET } from './seed.mjs'

const RECORD = new URL('results/instructions.json', import.meta.url)
/** How many more instructions than recorded are accepted: this share of them, and at least `MIN_MARGIN`. */
const MARGIN = 0.05
const MIN_MARGIN = 1000
const READS = 500
const DAMAGED_READS = 3

/** Instructions per call, by the name of the reading. @typedef {Record<string, number>} Counts */
/** @typedef {{ name: string, args: string[], calls: number }} Reading */

const { values: options } = parseArgs({ options: { record: { type: 'boolean', default: false } } })
const platform = `${process.arch}-${process.platform}`
/** @type {Record<string, Counts>} */
const records = JSON.parse(readFileSync(RECORD, 'utf8'))
const recorded = records[platform] ?? {}
const program = buildBenchmarks()

await assertIndistinguishable()
const counts = await countReadings()
for (const [name, count] of Object.entries(counts)) {
  console.log(`${count} instructions to read ${name}, recorded for ${platform}: ${recorded[name] ?? 'none'}`)
}
const [worst] = Object.entries(counts).sort(([, one], [, other]) => other - one)
console.log(`The most: ${worst?.join(', ')}`)
if (options.record) {
  writeFileSync(RECORD, `${JSON.stringify({ ...records, [platform]: counts }, null, 2)}\n`)
} else {
  assertNotAboveRecord()
}

/** Refusing a token must take the same number of instructions, whatever is wrong with it. */
async function assertIndistinguishable() {
  const names = INDISTINGUISHABLE.flatMap(({ classes }) => classes)
  // Arguments of one length, so that the program has its tokens at the same address: to copy from another takes other instructions.
  const length = Math.max(...names.map((name) => name.length))
  const args = (/** @type {string} */ name) => ['timing', `--class=${name.padEnd(length)}`]
  const each = await count(names.map((name) => ({ name, args: args(name), calls: READS })))
  for (const { classes, within } of INDISTINGUISHABLE) {
    const found = classes.map((name) => Number(each[name]))
    console.log(`${found.join(', ')} instructions to refuse ${classes.join(', ')}`)
    if (!(Math.max(...found) - Math.min(...found) <= within)) throw new Error('These must be indistinguishable')
  }
}

async function countReadings() {
  const folder = mkdtempSync(join(tmpdir(), 'authjs-bridge-headers-'))
  try {
    const damaged = Object.entries(damagedHeaders(SECRET)).map(([name, header], index) => {
      const file = join(folder, String(index))
      writeFileSync(file, header)
      return { name, args: ['read', `--header=${file}`], calls: DAMAGED_READS }
    })
    return await count([{ name: 'a session', args: ['read'], calls: READS }, ...damaged])
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function assertNotAboveRecord() {
  for (const [name, count] of Object.entries(counts)) {
    const record = recorded[name]
    if (record === undefined) throw new Error(`${name}: not recorded for this platform; run again with --record`)
    if (count > record + Math.max(record * MARGIN, MIN_MARGIN)) {
      throw new Error(`${name}: more than recorded; if that is intended, run again with --record`)
    }
  }
}

/** Counts in parallel, which doesn't change the result. @param {Reading[]} readings */
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

/** The difference of two runs, without the instructions of starting up. @param {Reading} reading */
async function perCall({ args, calls }) {
  const doubled = await instructions(args, 2 * calls)
  return Math.round((doubled - (await instructions(args, calls))) / calls)
}

/** @param {string[]} args @param {number} count */
async function instructions(args, count) {
  const callgrind = ['--tool=callgrind', '--callgrind-out-file=/dev/null', program, ...args, `--count=${count}`]
  // Disables the instruction set extensions that OpenSSL detects, so that it runs the same code on every machine.
  const env = { ...process.env, OPENSSL_ia32cap: ':0' }
  const { stderr } = await promisify(execFile)('valgrind', callgrind, { env }).catch((cause) => {
    throw new Error('callgrind failed; is valgrind installed?', { cause })
  })
  const [, collected] = /Collected : (\d+)/.exec(stderr) ?? []
  if (!collected) throw new Error(`callgrind printed no count:\n${stderr}`)
  return Number(collected)
}
