// Runs the fuzz targets, two at a time, each from its seeds alone, and prints what each has done. Fails at the first finding,
// where it says how to repeat it.
//
//   npm run test:fuzz [-- --seconds=60 target ...]

import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createWriteStream, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { builtOpenssl } from '../scripts/cargo-build.mjs'
import { cargoTool } from '../scripts/cargo-tool.mjs'
import { makeSeeds } from './seeds.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const CARGO_FUZZ = cargoTool('cargo-fuzz')
/** Seeds, and what each run finds. */
const RUNS = `${ROOT}fuzz/target/runs`
const AT_ONCE = 2

/** What libFuzzer is told of each target. The largest header that is read has 64 KiB. */
const TARGETS = {
  cookie_header: { dictionary: 'cookies', largest: 70_000 },
  compact_token: { dictionary: 'tokens', largest: 4096 },
  claims_to_body: { dictionary: 'claims', largest: 4096 },
  database_url: { dictionary: 'urls', largest: 512 },
  pipeline: { dictionary: 'claims', largest: 4096 },
}

const { values: options, positionals } = parseArgs({
  options: { seconds: { type: 'string', default: '60' } },
  allowPositionals: true,
})
const targets = /** @type {(keyof typeof TARGETS)[]} */ (positionals.length > 0 ? positionals : Object.keys(TARGETS))
const environment = { ...process.env, ...toolchain(), ...builtOpenssl() }
execFileSync(CARGO_FUZZ, ['fuzz', 'build'], { cwd: ROOT, env: environment, stdio: 'inherit' })
await makeSeeds(`${RUNS}/seeds`)

const waiting = [...targets]
/** @type {Record<string, object>} */
const results = {}
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let target = waiting.shift(); target; target = waiting.shift()) results[target] = await fuzz(target)
  }),
)
console.table(results)

/**
 * The environment in which cargo takes unstable flags: that of a nightly toolchain, or of the one that is there.
 *
 * @returns {Record<string, string>}
 */
function toolchain() {
  for (const [name, value] of [
    ['RUSTUP_TOOLCHAIN', 'nightly'],
    ['RUSTC_BOOTSTRAP', '1'],
  ]) {
    const env = { ...process.env, [name]: value }
    if (spawnSync('rustc', ['-Zunstable-options', '--version'], { env }).status === 0) return { [name]: value }
  }
  throw new Error('Fuzzing takes a nightly toolchain: rustup toolchain install nightly --profile minimal')
}

/** @param {keyof typeof TARGETS} target */
async function fuzz(target) {
  const { dictionary, largest } = TARGETS[target]
  const finds = `${RUNS}/finds/${target}`
  const log = `${RUNS}/${target}.log`
  rmSync(finds, { recursive: true, force: true })
  mkdirSync(finds, { recursive: true })
  const libFuzzer = [
    `-max_total_time=${options.seconds}`,
    `-dict=${ROOT}fuzz/dictionaries/${dictionary}.dict`,
    `-max_len=${largest}`,
    '-seed=1',
    '-timeout=10',
    '-print_final_stats=1',
  ]
  const run = spawn(CARGO_FUZZ, ['fuzz', 'run', target, finds, `${RUNS}/seeds/${target}`, '--', ...libFuzzer], {
    cwd: ROOT,
    env: environment,
  })
  const output = createWriteStream(log)
  run.stdout.pipe(output, { end: false })
  run.stderr.pipe(output, { end: false })
  const code = await new Promise((resolve) => run.on('close', resolve))
  await new Promise((resolve) => output.end(resolve))
  const text = readFileSync(log, 'utf8')
  if (code !== 0) {
    console.error(`${text.slice(-8000)}\n${target} has found something, see above and ${log}`)
    process.exitCode = 1
    // Who runs beside it ends by itself.
    waiting.length = 0
  }
  return figures(text)
}

/** @param {string} log */
function figures(log) {
  const [, edges, features] = [...log.matchAll(/cov: (\d+) ft: (\d+)/g)].at(-1) ?? []
  const executions = Number(/number_of_executed_units: (\d+)/.exec(log)?.[1])
  return { executions, edges: Number(edges), features: Number(features) }
}
