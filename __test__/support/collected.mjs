// `cargo test` passes where it finds no test. This fails if a module of `src/lib.rs` has none.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const library = readFileSync(new URL('../../src/lib.rs', import.meta.url), 'utf8')
const modules = [...library.matchAll(/^pub mod (\w+);$/gm)].map(([, name]) => name)
const tests = execFileSync('cargo', ['test', '--release', '--quiet', '--', '--list'], { encoding: 'utf8' })

const untested = modules.filter((name) => !new RegExp(`^${name}::.*: test$`, 'm').test(tests))
if (modules.length === 0 || untested.length > 0) {
  throw new Error(`modules of src/lib.rs without a test: ${untested.join(', ') || 'no module found'}`)
}
