// Runs tests with an addon that is built with AddressSanitizer: it finds use after free, double free and accesses out of
// bounds, and with LeakSanitizer leaks. All of our Rust is instrumented. Every allocation of the process is tracked,
// including those of Node.js and OpenSSL. For Linux.
//
//   node scripts/sanitizer.mjs [all | <vitest filter>...]
//
// Why not valgrind: with AddressSanitizer threads run in parallel, and fast enough for the tests of timeouts and races. It
// finds accesses out of bounds on the stack, too. It ignores the code that V8 generates at run time, for which valgrind
// needs a list of suppressions.

import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ADDON, builtOpenssl, cargoMessages } from './cargo-build.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const target = join(root, 'target', 'sanitizer')
const reports = join(target, 'reports')
const runtime = join(target, 'runtime.so')
const addon = join(target, 'authjs-bridge.node')

/** The specs that use Node-API most: promises settle, threads and processes end, values cross the boundary. */
const NODE_API_SPECS = ['exits', 'json', 'object', 'operations', '/process.spec']

/**
 * Stack frames of leaks that we can't fix: napi-rs leaks for each worker thread that ends, and Node-API can't free a promise
 * that is not settled when its thread ends.
 */
const KNOWN_LEAKS = ['register_classes', 'create_custom_gc', 'create_promise']

mkdirSync(target, { recursive: true })
linkRuntime()
buildAddon()
const filters = process.argv.length > 2 ? process.argv.slice(2) : NODE_API_SPECS
const passed = runTests(filters.includes('all') ? [] : filters)
const found = readReports()
for (const report of found) console.error(report)
console.log(`AddressSanitizer found ${found.length === 0 ? 'nothing' : `${found.length} errors`}.`)
if (!passed || found.length > 0) process.exitCode = 1

/**
 * Node.js is not built with AddressSanitizer, so its runtime has to be preloaded as a shared library. Rust comes with a
 * static one only.
 */
function linkRuntime() {
  const libraries = run('rustc', ['--print', 'target-libdir']).trim()
  const archive = readdirSync(libraries).find((name) => /^librustc-.*_rt\.asan\.a$/.test(name))
  if (!archive) throw new Error(`${libraries} has no AddressSanitizer`)
  const copy = join(target, 'runtime.a')
  copyFileSync(join(libraries, archive), copy)
  // A shared library can't have a `.preinit_array` section.
  run('ar', ['d', copy, 'asan_preinit.cpp.o'])
  const whole = ['-Wl,--whole-archive', copy, '-Wl,--no-whole-archive']
  run('cc', ['-shared', '-o', runtime, ...whole, '-lpthread', '-ldl', '-lm', '-lrt', '-lgcc_s'])
}

/** With debug assertions and function names. It links the OpenSSL of the usual build. */
function buildAddon() {
  const env = {
    ...process.env,
    RUSTC_BOOTSTRAP: '1',
    RUSTFLAGS: '-Zsanitizer=address',
    CARGO_PROFILE_RELEASE_DEBUG: 'line-tables-only',
    CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS: 'true',
    CARGO_PROFILE_RELEASE_LTO: 'false',
    CARGO_PROFILE_RELEASE_OPT_LEVEL: '1',
    CARGO_PROFILE_RELEASE_STRIP: 'none',
    ...builtOpenssl(),
  }
  const messages = cargoMessages([...ADDON, '--target-dir', target], env)
  const library = messages.find(
    ({ reason, target }) => reason === 'compiler-artifact' && target.name === 'authjs_bridge',
  )
  copyFileSync(
    library.filenames.find((/** @type {string} */ name) => name.endsWith('.so')),
    addon,
  )
}

/** @param {string[]} filters */
function runTests(filters) {
  rmSync(reports, { recursive: true, force: true })
  mkdirSync(reports)
  const options = {
    allow_addr2line: 1,
    detect_leaks: 1,
    external_symbolizer_path: run('which', ['addr2line']).trim(),
    log_path: join(reports, 'report'),
  }
  const env = {
    ...process.env,
    LD_PRELOAD: runtime,
    SANITIZED_ADDON: addon,
    SANITIZER_RUNTIME: runtime,
    ASAN_OPTIONS: Object.entries(options)
      .map(([name, value]) => `${name}=${value}`)
      .join(':'),
    // LeakSanitizer reports leaks of Node.js, too; `readReports` selects ours.
    LSAN_OPTIONS: 'exitcode=0',
  }
  const vitest = [join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--project', 'sanitizer']
  return spawnSync(process.execPath, [...vitest, ...filters], { cwd: root, env, stdio: 'inherit' }).status === 0
}

/** All errors; of the leaks, only those with a stack frame in our Rust code or its crates. */
function readReports() {
  return readdirSync(reports).flatMap((name) => {
    const report = readFileSync(join(reports, name), 'utf8')
    if (!report.includes('LeakSanitizer: detected')) return report.includes('ERROR:') ? [report] : []
    const leaks = report.split('\n\n').filter((part) => /^(Direct|Indirect) leak of/.test(part))
    const isOurs = (/** @type {string} */ leak) => leak.includes(join(root, 'src')) || leak.includes('/registry/src/')
    return leaks.filter((leak) => isOurs(leak) && !KNOWN_LEAKS.some((frame) => leak.includes(frame)))
  })
}

/**
 * @param {string} program
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 */
function run(program, args, env) {
  return execFileSync(program, args, {
    cwd: root,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 28,
  })
}
