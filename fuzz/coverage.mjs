// Lists the lines of the pure modules that neither unit tests nor fuzz targets cover, and fails if there are any. The fuzz
// targets replay the corpus of their last run.
//
//   node fuzz/coverage.mjs
//
// Needs llvm-profdata and llvm-cov of the LLVM version that rustc uses, or of a later one, in the folder LLVM_BIN or in PATH.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { builtOpenssl, cargoMessages } from '../scripts/cargo-build.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const TARGET_DIR = `${ROOT}target/coverage`
const PROFILES = `${TARGET_DIR}/profiles`
const RUNS = `${ROOT}fuzz/target/runs`
const LLVM = process.env.LLVM_BIN ? `${process.env.LLVM_BIN}/` : ''

/** The modules that run before the database is queried, and do no I/O. */
const PURE_MODULES = [
  'schema/mod.rs',
  'schema/id.rs',
  'config/mod.rs',
  'config/cookies.rs',
  'config/database.rs',
  'config/environment.rs',
  'config/limits.rs',
  'config/schema.rs',
  'config/secrets.rs',
  'config/warning.rs',
  'cookie/chunks.rs',
  'cookie/find.rs',
  'cookie/header.rs',
  'cookie/name.rs',
  'cookie/near_miss.rs',
  'crypto/mod.rs',
  'crypto/cbc_hs512.rs',
  'crypto/gcm.rs',
  'crypto/hmac.rs',
  'crypto/issuer.rs',
  'crypto/key.rs',
  'crypto/keyring.rs',
  'token/open.rs',
  'token/seal.rs',
  'claims/read.rs',
  'claims/json_string.rs',
  'claims/form.rs',
  'claims/shape.rs',
  'claims/session.rs',
  'claims/body.rs',
  'iso8601.rs',
  'store/identity.rs',
  'store/liveness.rs',
  'postgres/url/mod.rs',
  'postgres/url/parse.rs',
  'postgres/url/parameter.rs',
  'postgres/url/hosts.rs',
  'postgres/url/settings.rs',
  'bridge/mod.rs',
  'bridge/read.rs',
  'outcome.rs',
  'bridge/explain.rs',
  'bridge/explanation.rs',
  'error.rs',
]

const environment = {
  ...process.env,
  ...builtOpenssl(),
  CARGO_TARGET_DIR: TARGET_DIR,
  CARGO_PROFILE_DEV_DEBUG: '0',
  RUSTFLAGS: '-Cinstrument-coverage --cfg fuzzing',
  LLVM_PROFILE_FILE: `${PROFILES}/%p.profraw`,
}
const tests = build(['test', '--no-run'])
const targets = build(['build', '--manifest-path', 'fuzz/Cargo.toml', '--bins'])
rmSync(PROFILES, { recursive: true, force: true })
mkdirSync(PROFILES, { recursive: true })
for (const { executable } of tests) run(executable, ['--quiet'])
for (const { name, executable } of targets) {
  run(executable, ['-runs=0', `${RUNS}/seeds/${name}`, `${RUNS}/finds/${name}`])
}
report(lineCounts([...tests, ...targets].map(({ executable }) => executable)))

/**
 * @param {string[]} command
 * @returns {{ name: string, executable: string }[]}
 */
function build(command) {
  return cargoMessages(command, environment)
    .filter(({ executable }) => executable)
    .map(({ target, executable }) => ({ name: target.name, executable }))
}

/**
 * @param {string} executable
 * @param {string[]} options
 */
function run(executable, options) {
  execFileSync(executable, options, { cwd: ROOT, env: environment, stdio: ['ignore', 'ignore', 'pipe'] })
}

/**
 * How often each line ran, by file.
 *
 * @param {string[]} executables
 */
function lineCounts(executables) {
  const profile = `${PROFILES}/all.profdata`
  const parts = readdirSync(PROFILES).map((file) => `${PROFILES}/${file}`)
  execFileSync(`${LLVM}llvm-profdata`, ['merge', '--sparse', ...parts, '--output', profile])
  const objects = executables.flatMap((executable) => ['--object', executable])
  const lcov = execFileSync(
    `${LLVM}llvm-cov`,
    ['export', '--format=lcov', `--instr-profile=${profile}`, ...objects, '--sources', `${ROOT}src`],
    { encoding: 'utf8', maxBuffer: 2 ** 28, stdio: ['ignore', 'pipe', 'ignore'] },
  )
  /** @type {Map<string, Map<number, number>>} */
  const files = new Map()
  let lines = new Map()
  for (const record of lcov.split('\n')) {
    const [, kind, value] = /^(SF|DA):(.*)$/.exec(record) ?? []
    if (kind === 'SF') {
      lines = files.get(value) ?? new Map()
      files.set(value, lines)
    } else if (kind === 'DA') {
      const [line, count] = value.split(',').map(Number)
      lines.set(line, Math.max(count, lines.get(line) ?? 0))
    }
  }
  return files
}

/**
 * Whether a line belongs to a `const fn`, which the compiler may evaluate.
 *
 * @param {string[]} source
 * @param {number} line
 */
function isConstFn(source, line) {
  const heads = source.slice(0, line).filter((text) => /\bfn \w+/.test(text))
  return heads.at(-1)?.includes('const fn') ?? false
}

/** @param {Map<string, Map<number, number>>} files */
function report(files) {
  let uncovered = 0
  for (const module of PURE_MODULES) {
    const file = `${ROOT}src/${module}`
    const source = readFileSync(file, 'utf8').split('\n')
    const tests = source.indexOf('mod tests {')
    const lines = [...(files.get(file) ?? [])].filter(([line]) => tests < 0 || line <= tests)
    const missed = lines.filter(([line, count]) => count === 0 && !isConstFn(source, line))
    uncovered += missed.length
    console.log(`${module}: ${lines.length - missed.length} of ${lines.length} lines`)
    for (const [line] of missed) console.log(`  ${line}: ${source[line - 1].trim()}`)
  }
  if (uncovered > 0) throw new Error(`${uncovered} lines are not covered`)
}
