// How many instructions the pure path takes, from the cookie to the body: a figure that no noise changes. Fails if they are
// more than on record. Needs valgrind.
//
//   npm run bench:instructions [-- --record]

import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

const RECORD = new URL('results/instructions.json', import.meta.url)
const MARGIN = 0.05
const READS = 500

const { values: options } = parseArgs({ options: { record: { type: 'boolean', default: false } } })
const platform = `${process.arch}-${process.platform}`
const records = JSON.parse(readFileSync(RECORD, 'utf8'))
const program = buildBenchmark()
// The difference leaves out what is done once.
const perRead = Math.round((instructions(2 * READS) - instructions(READS)) / READS)
const recorded = records[platform]
console.log(`${perRead} instructions to read a session, on record for ${platform}: ${recorded ?? 'none'}`)

if (options.record) {
  writeFileSync(RECORD, `${JSON.stringify({ ...records, [platform]: perRead }, null, 2)}\n`)
} else if (recorded === undefined) {
  throw new Error('Nothing is on record for this platform; run again with --record')
} else if (perRead > recorded * (1 + MARGIN)) {
  throw new Error(`More than ${MARGIN * 100} % above the record; if that is meant, run again with --record`)
}

/** @returns {string} the path of the program */
function buildBenchmark() {
  const command = ['bench', '--bench', 'read', '--no-run', '--locked', '--message-format=json']
  const output = execFileSync('cargo', command, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  const messages = output.split('\n').filter((line) => line.startsWith('{'))
  const built = messages
    .map((line) => JSON.parse(line))
    .find(({ target, executable }) => executable && target.name === 'read')
  return built.executable
}

/** @param {number} reads */
function instructions(reads) {
  const callgrind = ['--tool=callgrind', '--callgrind-out-file=/dev/null', program, `--count=${reads}`]
  // Without the newer instructions of some processors, so that OpenSSL does the same on all.
  const env = { ...process.env, OPENSSL_ia32cap: ':0' }
  const { status, stderr, error } = spawnSync('valgrind', callgrind, { env, encoding: 'utf8' })
  if (error) throw new Error('valgrind is needed: apt-get install valgrind', { cause: error })
  const [, collected] = /Collected : (\d+)/.exec(stderr) ?? []
  if (status !== 0 || !collected) throw new Error(`callgrind failed:\n${stderr}`)
  return Number(collected)
}
