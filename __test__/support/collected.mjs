// Fails if a Rust module has no test, or if no runner collects a test file: `cargo test` passes without any test, and vitest
// ignores files whose names don't match.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const library = readFileSync(join(ROOT, 'src', 'lib.rs'), 'utf8')
const modules = [...library.matchAll(/^pub mod (\w+);$/gm)].map(([, name]) => name)
const tests = run('cargo', ['test', '--release', '--locked', '--quiet', '--', '--list'])
const untested = modules.filter((name) => !new RegExp(`^${name}::.*: test$`, 'm').test(tests))
if (modules.length === 0 || untested.length > 0) {
  throw new Error(`modules of src/lib.rs without a test: ${untested.join(', ') || 'no module found'}`)
}

/** Files without tests, or, with types, that only the compiler checks. */
const WITHOUT_TESTS = /^(support|vectors|next\/app|next-modes\/next-auth-(4|5|app))\/|\.test-d\.ts$/
const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs')
const listed = JSON.parse(run(process.execPath, [vitest, 'list', '--filesOnly', '--json', '--project', '*']))
const collected = new Set(listed.map((/** @type {{ file: string }} */ { file }) => file))
const scripts = readdirSync(join(ROOT, '__test__'), { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => file.endsWith('.ts') && !WITHOUT_TESTS.test(file))
const ignored = scripts.filter((file) => !collected.has(`${ROOT}__test__/${file}`))
if (scripts.length === 0 || ignored.length > 0) {
  throw new Error(`files of __test__ that no runner collects: ${ignored.join(', ') || 'no file found'}`)
}

/** @param {string} program @param {string[]} args */
function run(program, args) {
  return execFileSync(program, args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}
