// Runs the JavaScript tests on another platform, emulated on Linux x64. Vitest and PostgreSQL run here; the tests, and the Node.js
// processes that they start, run there. Needs root, what `platforms.mjs` needs, and the native part in `artifacts/`:
// `node scripts/build-artifact.mjs --target=<target>`.
//
//   node scripts/emulated-tests.mjs <target> [<vitest filter> ...]

import { execFileSync } from 'node:child_process'
import { copyFileSync, readdirSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseTriple } from '@napi-rs/cli'
import { startVitest } from 'vitest/node'
import { emulatedNode } from './platforms.mjs'

/** The test files that are left out, and why. */
const LEFT_OUT = {
  'loads no native part': ['package', 'workflows'],
}
/** More of them, where the processor is emulated. */
const LEFT_OUT_SLOW = {
  'thousands of cases': ['differential', 'refresh-differential'],
  'hundreds of processes': [
    ...['doctor-advice', 'doctor-tables', 'doctor-writes'],
    ...['env-files', 'explain-command', 'session-commands'],
  ],
  'starts a program that npm installed for the processor of this machine': ['register', 'schema-recipes'],
}
/** Other targets have the processor and the C library each; their combination is tried with these. @type {Record<string, string[]>} */
const ENOUGH = {
  'aarch64-unknown-linux-musl': [
    ...['vectors', 'token', 'session', 'refresh', 'manage'],
    ...['tls', 'listen', 'exits', 'process'],
  ],
}
/** Tests that are left out there: their sessions live for 1.5 s, and end before they are read. */
const LEFT_OUT_TESTS = ['is kept of a query for one session, for many']

const root = fileURLToPath(new URL('..', import.meta.url))
const tests = join(root, '__test__')
const [target = '', ...filters] = process.argv.slice(2)
const { platformArchABI, arch } = parseTriple(target)
const addon = join(root, `authjs-bridge.${platformArchABI}.node`)
const node = emulatedNode(target)
const isSlow = arch !== process.arch

// Where a build on that platform leaves it.
copyFileSync(join(root, 'artifacts', `authjs-bridge.${platformArchABI}.node`), addon)
process.on('exit', () => rmSync(addon))
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
assertLoaded()
const passed = await runTests()
console.log(`${target}: ${passed} tests passed`)
// Vitest itself sets the exit code if one failed.
if (passed === 0) process.exitCode = 1

/** The packages of other platforms may be there, too. */
function assertLoaded() {
  const script = `require(${JSON.stringify(root)}); console.log(process.report.getReport().sharedObjects.join('\\n'))`
  const loaded = execFileSync(node, ['-e', script], { encoding: 'utf8' })
  if (!loaded.split('\n').includes(addon)) throw new Error(`${addon} is not among what was loaded:\n${loaded}`)
}

async function runTests() {
  // Vitest starts its workers by `execPath`.
  process.execPath = node
  process.env.SERVER_ARCH = process.arch
  const vitest = await startVitest('test', filters.length > 0 ? filters : files(), {
    project: 'emulated',
    run: true,
    // The emulator needs the processor that elsewhere waits for servers.
    ...(isSlow && { maxWorkers: availableParallelism(), testNamePattern: `^(?!.*(${LEFT_OUT_TESTS.join('|')}))` }),
  })
  const modules = vitest.state.getTestModules()
  const [passed = [], skipped = []] = /** @type {const} */ (['passed', 'skipped']).map((state) =>
    modules.flatMap(({ children }) => [...children.allTests(state)]),
  )
  await vitest.close()
  const unknown = LEFT_OUT_TESTS.filter((name) => !skipped.some((test) => test.name.startsWith(name)))
  if (isSlow && !ENOUGH[target] && filters.length === 0 && unknown.length > 0)
    throw new Error(`no such test: ${unknown.join(', ')}`)
  return passed.length
}

function files() {
  const enough = ENOUGH[target]
  const leftOut = Object.values({ ...LEFT_OUT, ...(isSlow && LEFT_OUT_SLOW) }).flat()
  const specs = readdirSync(tests).flatMap((file) => file.match(/^(.+)\.spec\.ts$/)?.[1] ?? [])
  const unknown = (enough ?? leftOut).filter((name) => !specs.includes(name))
  if (unknown.length > 0) throw new Error(`no such test file: ${unknown.join(', ')}`)
  const names = enough ?? specs.filter((name) => !leftOut.includes(name))
  return ['smoke/smoke', ...names].map((name) => join(tests, `${name}.spec.ts`))
}
