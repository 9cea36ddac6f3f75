// Runs tests with an addon that AddressSanitizer watches: use after free, double free, reads and writes out of bounds, and
// with LeakSanitizer what nobody can free any more. All of our Rust is instrumented, and every allocation of the process is
// watched, those of Node.js and OpenSSL, too. For Linux.
//
//   node scripts/sanitizer.mjs [all | <vitest filter>...]
//
// AddressSanitizer rather than valgrind: threads run at the same time, and fast enough for the tests of time-outs and races to
// mean the same; it sees reads and writes out of bounds on the stack, too; and code that V8 writes at run time is none of its
// business, where valgrind needs a list of what to overlook.

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

/** What Node-API is asked for: promises are made and settled, threads and processes end, values go there and back. */
const MOST_NATIVE = ['exits', 'json', 'object', 'operations', 'process']

/**
 * Leaks that can't be helped here, by a frame of theirs: of napi-rs for each worker thread that ends, and of a promise that
 * was not settled when its thread ended, which Node-API has no way to free.
 */
const KNOWN_LEAKS = ['register_classes', 'create_custom_gc', 'create_promise']

mkdirSync(target, { recursive: true })
linkRuntime()
buildAddon()
const filters = process.argv.length > 2 ? process.argv.slice(2) : MOST_NATIVE
const passed = runTests(filters.includes('all') ? [] : filters)
const found = findings()
for (const finding of found) console.error(finding)
console.log(`AddressSanitizer found ${found.length === 0 ? 'nothing' : `${found.length} faults`}.`)
if (!passed || found.length > 0) process.exitCode = 1

/** Node.js is not built with it, so it is preloaded: as a shared library, which Rust has only for programs. */
function linkRuntime() {
  const libraries = run('rustc', ['--print', 'target-libdir']).trim()
  const archive = readdirSync(libraries).find((name) => /^librustc-.*_rt\.asan\.a$/.test(name))
  if (!archive) throw new Error(`${libraries} has no AddressSanitizer`)
  const copy = join(target, 'runtime.a')
  copyFileSync(join(libraries, archive), copy)
  // What a program runs before all else; a library can't have it.
  run('ar', ['d', copy, 'asan_preinit.cpp.o'])
  const whole = ['-Wl,--whole-archive', copy, '-Wl,--no-whole-archive']
  run('cc', ['-shared', '-o', runtime, ...whole, '-lpthread', '-ldl', '-lm', '-lrt', '-lgcc_s'])
}

/** With the OpenSSL of the usual build, and all that a release leaves out: names of functions, checks of the standard library. */
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
    // It finds those of Node.js, too.
    LSAN_OPTIONS: 'exitcode=0',
  }
  const vitest = [join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--project', 'sanitizer']
  return spawnSync(process.execPath, [...vitest, ...filters], { cwd: root, env, stdio: 'inherit' }).status === 0
}

/** Every error, but of leaks only those with a frame of Rust that was built here. */
function findings() {
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
