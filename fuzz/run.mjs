// Runs the fuzz targets, two at a time, each starting from its seeds, and prints statistics. Stops at the first finding and
// prints how to reproduce it.
//
//   node fuzz/run.mjs [--seconds=60] [target ...]

import { spawn } from 'node:child_process'
import { createWriteStream, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { builtOpenssl, cargoMessages } from '../scripts/cargo-build.mjs'
import { makeSeeds } from './seeds.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** Seeds, the corpus of each run, and its log. */
const RUNS = `${ROOT}fuzz/target/runs`
const PARALLEL = 2

/** The flags of cargo-fuzz 0.13, which is not used because it would have to be compiled first. */
const RUSTFLAGS = [
  '-Cpasses=sancov-module',
  '-Cllvm-args=-sanitizer-coverage-level=4',
  '-Cllvm-args=-sanitizer-coverage-inline-8bit-counters',
  '-Cllvm-args=-sanitizer-coverage-pc-table',
  '-Cllvm-args=-sanitizer-coverage-trace-compares',
  '-Cllvm-args=-sanitizer-coverage-stack-depth',
  '-Cllvm-args=-simplifycfg-branch-fold-threshold=0',
  '-Zsanitizer=address',
  '-Ccodegen-units=1',
  '-Cdebug-assertions',
  '--cfg=fuzzing',
]

/** Options of libFuzzer for each target; `largest` in bytes. The largest header that is read has 64 KiB. */
const TARGETS = {
  cookie_header: { dictionary: 'cookies', largest: 70_000 },
  compact_token: { dictionary: 'tokens', largest: 4096 },
  claims_to_body: { dictionary: 'claims', largest: 4096 },
  database_url: { dictionary: 'urls', largest: 512 },
  pipeline: { dictionary: 'claims', largest: 4096 },
  set_cookie: { dictionary: 'cookies', largest: 4096 },
  next_claims: { dictionary: 'claims', largest: 4096 },
}

const { values: options, positionals } = parseArgs({
  options: { seconds: { type: 'string', default: '60' } },
  allowPositionals: true,
})
const targets = /** @type {(keyof typeof TARGETS)[]} */ (positionals.length > 0 ? positionals : Object.keys(TARGETS))
const programs = build()
await makeSeeds(`${RUNS}/seeds`)

const waiting = [...targets]
/** @type {Record<string, object>} */
const results = {}
await Promise.all(
  Array.from({ length: PARALLEL }, async () => {
    for (let target = waiting.shift(); target; target = waiting.shift()) results[target] = await fuzz(target)
  }),
)
console.table(results)

/** @returns {Map<string, string>} the path of each target's program */
function build() {
  const environment = {
    ...process.env,
    ...builtOpenssl(),
    // Allows the flags of a nightly toolchain.
    RUSTC_BOOTSTRAP: '1',
    RUSTFLAGS: RUSTFLAGS.join(' '),
    CARGO_PROFILE_RELEASE_DEBUG: 'line-tables-only',
  }
  const messages = cargoMessages(
    ['build', '--manifest-path=fuzz/Cargo.toml', '--release', '--locked', '--bins'],
    environment,
  )
  const built = messages.filter(({ executable }) => executable)
  return new Map(built.map(({ target, executable }) => [target.name, executable]))
}

/** @param {keyof typeof TARGETS} target */
async function fuzz(target) {
  const { dictionary, largest } = TARGETS[target]
  const finds = `${RUNS}/finds/${target}`
  const log = `${RUNS}/${target}.log`
  const artifacts = `${ROOT}fuzz/artifacts/${target}/`
  mkdirSync(artifacts, { recursive: true })
  rmSync(finds, { recursive: true, force: true })
  mkdirSync(finds, { recursive: true })
  const libFuzzer = [
    `-max_total_time=${options.seconds}`,
    `-artifact_prefix=${artifacts}`,
    `-dict=${ROOT}fuzz/dictionaries/${dictionary}.dict`,
    `-max_len=${largest}`,
    '-seed=1',
    '-timeout=10',
    '-print_final_stats=1',
  ]
  const program = programs.get(target)
  if (!program) throw new Error(`unknown target ${target}; the targets are ${[...programs.keys()].join(', ')}`)
  const run = spawn(program, [...libFuzzer, finds, `${RUNS}/seeds/${target}`], {
    env: { ...process.env, ASAN_OPTIONS: 'detect_odr_violation=0' },
  })
  const output = createWriteStream(log)
  run.stdout.pipe(output, { end: false })
  run.stderr.pipe(output, { end: false })
  const code = await new Promise((resolve) => run.on('close', resolve))
  await new Promise((resolve) => output.end(resolve))
  const text = readFileSync(log, 'utf8')
  if (code !== 0) {
    console.error(`${text.slice(-8000)}\n${target} failed, see above and ${log}. To reproduce it:`)
    console.error(`  ASAN_OPTIONS=detect_odr_violation=0 ${program} ${artifacts}<file>`)
    process.exitCode = 1
    // Starts no other target. Targets that are running end by themselves.
    waiting.length = 0
  }
  return statistics(text)
}

/** @param {string} log */
function statistics(log) {
  const [, edges, features] = [...log.matchAll(/cov: (\d+) ft: (\d+)/g)].at(-1) ?? []
  const executions = Number(/number_of_executed_units: (\d+)/.exec(log)?.[1])
  return { executions, edges: Number(edges), features: Number(features) }
}
