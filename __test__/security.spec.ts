// Each promise in SECURITY.md has tests.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { isTest, type NamedTest } from './support/named-tests.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (file: string) => readFileSync(`${root}/${file}`, 'utf8')
const page = read('SECURITY.md')

type Promised = { promise: string; tests: Record<string, string[]> }
const promises: Promised[] = JSON.parse(read('SECURITY.tests.json'))

const namedTests = ({ tests }: Promised): NamedTest[] =>
  Object.entries(tests).flatMap(([file, titles]) => titles.map((title) => ({ file, title })))

test('SECURITY.md makes these promises, in this order', () => {
  const [, section = ''] = /\n## What is protected\n(.+?)\n## /s.exec(page) ?? []
  const listed = [...section.matchAll(/^- (.+(?:\n {2}.+)*)/gm)].map(([, promise = '']) => promise)
  expect(listed).toEqual(promises.map(({ promise }) => promise))
  expect(listed.length).toBeGreaterThan(20)
})

test('no cell of a table and no item of a list has more than two sentences', () => {
  const items = [...page.matchAll(/^- (.+(?:\n {2}.+)*)/gm)].map(([, item = '']) => item)
  const cells = page.split('\n').flatMap((line) => (line.startsWith('|') ? line.slice(1, -1).split('|') : []))
  expect(items.length).toBeGreaterThan(promises.length)
  expect(cells.length).toBeGreaterThan(10)
  const sentences = (text: string) => text.trim().split(/[.!?]\s+/).length
  expect([...items, ...cells].filter((text) => sentences(text) > 2)).toEqual([])
})

test.each(promises)('$promise', (promised) => {
  const tests = namedTests(promised)
  expect(tests.length).toBeGreaterThan(0)
  expect(tests.filter((test) => !isTest(test))).toEqual([])
})

describe('josekit', () => {
  const [, section = ''] = page.split('## josekit\n')

  test('has the version that the page names', () => {
    const [, version] = /name = "josekit"\nversion = "(.+)"/.exec(read('Cargo.lock')) ?? []
    expect(section).toContain(`josekit ${version} `)
  })

  test('has the tests that the page names', () => {
    const names = [...section.matchAll(/`(\w+_\w+)`/g)].map(([, title = '']) => ({ file: 'src/token/tests.rs', title }))
    expect(names).toHaveLength(3)
    expect(names.filter((test) => !isTest(test))).toEqual([])
  })
})

test('none of the named tests is skipped', () => {
  const files = new Set(promises.flatMap(namedTests).map(({ file }) => file))
  const skips = /\b(?:test|describe|it)\.(?:skip|skipIf|todo|fails|only)\b|#\[ignore/
  expect([...files].filter((file) => skips.test(read(file)))).toEqual([])
})

test('the search finds whole titles only', () => {
  const [file, title] = ['src/cookie/find.rs', 'values_of_a_header']
  expect(isTest({ file, title })).toBe(true)
  expect(isTest({ file, title: 'values_of_a' })).toBe(false)
  expect(isTest({ file: '__test__/session.spec.ts', title: 'depends on the cookie name' })).toBe(false)
})
