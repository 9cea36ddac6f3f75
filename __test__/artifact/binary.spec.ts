// The published binary, built by `scripts/build-artifact.mjs`, is as docs/platforms.md describes it.

import { execFileSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { dynamicSymbols, OF_OPENSSL } from '../support/binary.js'

const binary = fileURLToPath(new URL('../../artifacts/authjs-bridge.linux-x64-gnu.node', import.meta.url))
const documentation = readFileSync(new URL('../../docs/platforms.md', import.meta.url), 'utf8')

function documented(pattern: RegExp) {
  return Number(pattern.exec(documentation)?.[1])
}

test('runs with the glibc that the documentation names', () => {
  const imported = dynamicSymbols(binary, '--undefined-only')
  const minors = imported.flatMap((symbol) => /@GLIBC_2\.(\d+)/.exec(symbol)?.[1] ?? []).map(Number)
  expect(minors.length).toBeGreaterThan(50)
  expect(Math.max(...minors)).toBe(documented(/glibc 2\.(\d+)/))
})

test('needs no library but those of glibc', () => {
  const dynamic = execFileSync('readelf', ['--dynamic', '--wide', binary], { encoding: 'utf8' })
  const needed = [...dynamic.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, library]) => library)
  const glibc = ['ld-linux-x86-64.so.2', 'libc.so.6', 'libdl.so.2', 'libm.so.6', 'libpthread.so.0', 'librt.so.1']
  expect(glibc).toEqual(expect.arrayContaining(needed))
  expect(needed).toContain('libc.so.6')
})

test('is at most 5% larger than the documentation says', () => {
  const megabytes = statSync(binary).size / 1e6
  expect(megabytes).toBeGreaterThan(1)
  expect(megabytes).toBeLessThan(documented(/linux-x64-gnu\.node` has ([\d.]+) MB/) * 1.05)
})

test('exports only the entry point of Node-API, and imports no function of OpenSSL from Node.js', () => {
  expect(dynamicSymbols(binary, '--defined-only')).toEqual(['napi_register_module_v1'])
  expect(dynamicSymbols(binary, '--undefined-only').filter((name) => OF_OPENSSL.test(name))).toEqual([])
})

test("doesn't contain the folder that it was built in", () => {
  const text = readFileSync(binary, 'latin1')
  expect(text).toContain('/cargo/registry/src/')
  const folders = [fileURLToPath(new URL('../..', import.meta.url)), homedir()].map((folder) => join(folder, '/'))
  expect(folders.filter((folder) => text.includes(folder))).toEqual([])
})
