// `cargo test` passes where it finds no test, and vitest where a file of tests has a name that it does not look for.
// This fails for both.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

const library = readFileSync(new URL('../../src/lib.rs', import.meta.url), 'utf8')
const modules = [...library.matchAll(/^pub mod (\w+);$/gm)].map(([, name]) => name)
const tests = execFileSync('cargo', ['test', '--release', '--locked', '--quiet', '--', '--list'], { encoding: 'utf8' })
const untested = modules.filter((name) => !new RegExp(`^${name}::.*: test$`, 'm').test(tests))
if (modules.length === 0 || untested.length > 0) {
  throw new Error(`modules of src/lib.rs without a test: ${untested.join(', ') || 'no module found'}`)
}

const folders = ['..', '../browser', '../next', '../pgbouncer', '../soak', '../supply-chain']
const scripts = folders
  .flatMap((folder) => readdirSync(new URL(folder, import.meta.url)))
  .filter((file) => file.endsWith('.ts'))
const unknown = scripts.filter((file) => !/\.(spec|test-d)\.ts$/.test(file))
if (scripts.length === 0 || unknown.length > 0) {
  throw new Error(`files of __test__ that no runner collects: ${unknown.join(', ') || 'no file found'}`)
}
