// docs/supply-chain.md and THIRD-PARTY-LICENSES list the crates that are linked in. Uses `cargo tree`, independently of
// scripts/crates.mjs.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { thirdPartyLicenses } from '../../scripts/third-party-licenses.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (file: string) => readFileSync(`${root}/${file}`, 'utf8')
const { scripts, napi } = JSON.parse(read('package.json'))
const targets: string[] = napi.targets

/** Lines like `tokio 1.54.1`, without the package itself. Fails if Cargo.lock is out of date. */
function tree(...options: string[]) {
  const platforms = targets.flatMap((target) => ['--target', target])
  const args = ['tree', '--locked', '--prefix', 'none', '--format', '{p}', ...platforms, ...options]
  const lines = execFileSync('cargo', args, { cwd: root, encoding: 'utf8' }).trim().split('\n')
  // An empty line separates the platforms.
  const crates = lines.flatMap((line) => (line ? [line.replace(/^(\S+) v(\S+).*$/, '$1 $2')] : []))
  return [...new Set(crates)].filter((crate) => !crate.startsWith('authjs-bridge ')).sort()
}

const linked = tree('--edges', 'normal,no-proc-macro')
const namesOf = (crates: string[]) => crates.map((crate) => crate.replace(/ .*/, ''))

test('finds a plausible number of crates, with josekit', () => {
  expect(linked.length).toBeGreaterThan(80)
  expect(namesOf(linked)).toContain('josekit')
})

describe('docs/supply-chain.md', () => {
  const documentation = read('docs/supply-chain.md')

  /** The names in the table or the list below a heading. */
  function names(heading: string, pattern: RegExp) {
    const [, section = ''] = documentation.split(`## ${heading}\n`)
    const [text = ''] = section.split('\n## ')
    return [...text.matchAll(pattern)].map(([, name]) => name ?? '')
  }

  const direct = names('Crates that we ask for', /^\| `([\w-]+)` \|/gm)
  const others = names('Crates that these bring along', /`([\w-]+)`/g)

  test('lists each crate of Cargo.toml, with the reason', () => {
    const [, section = ''] = read('Cargo.toml').split('[dependencies]\n')
    const [text = ''] = section.split('\n[')
    const asked = [...text.matchAll(/^([\w-]+) = /gm)].map(([, name]) => name)
    expect(direct).toEqual(asked)
  })

  test('lists all other crates that are linked in, and no more', () => {
    const macros = ['napi-derive']
    const expected = namesOf(linked).filter((name) => !direct.includes(name))
    expect(others.sort()).toEqual(expected.sort())
    expect(direct.filter((name) => !namesOf(linked).includes(name))).toEqual(macros)
  })
})

describe('THIRD-PARTY-LICENSES', () => {
  const licenses = read('THIRD-PARTY-LICENSES')

  test('is up to date; if not, run node scripts/third-party-licenses.mjs', () => {
    expect(licenses).toBe(thirdPartyLicenses())
  })

  test('names each crate, and OpenSSL', () => {
    const [openssl] = tree('--edges', 'normal,build').filter((crate) => crate.startsWith('openssl-src '))
    const [, version] = openssl?.split('+') ?? []
    const lines = new Set(licenses.split('\n'))
    expect([...linked, openssl, `OpenSSL ${version}`].filter((crate) => !lines.has(String(crate)))).toEqual([])
  })
})

test('cargo-deny checks the platforms that have packages', () => {
  const [, graph = ''] = read('deny.toml').split('[graph]\n')
  const [text = ''] = graph.split('\n[')
  expect([...text.matchAll(/"(.+)"/g)].map(([, target]) => target)).toEqual(targets)
})

test.each([
  ['npm run build', scripts.build],
  ['npm run lint', scripts.lint],
  ['npm run test:rust', scripts['test:rust']],
  ['scripts/build-artifact.mjs', read('scripts/build-artifact.mjs')],
])('%s uses the versions of Cargo.lock', (_, text) => {
  expect(text).toContain('--locked')
})

test('nothing but the native part and a parser of user agents is installed with this package', () => {
  const { dependencies, peerDependenciesMeta, peerDependencies } = JSON.parse(read('package.json'))
  expect(Object.keys(dependencies)).toEqual(['bowser'])
  for (const peer of Object.keys(peerDependencies)) expect(peerDependenciesMeta[peer]).toEqual({ optional: true })
})
