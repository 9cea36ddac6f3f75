// Each promise of SECURITY.md has its tests.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (file: string) => readFileSync(`${root}/${file}`, 'utf8')
const page = read('SECURITY.md')

/** The cells of the tables whose first column is headed `promise`. */
const promises = [...page.matchAll(/^\| promise \| tests \|\n\| --- \| --- \|\n((?:\|.+\n)+)/gm)].flatMap(
  ([, rows = '']) =>
    rows
      .trim()
      .split('\n')
      .map((row) => row.slice(2, -2).split(' | ') as [promise: string, tests: string]),
)

/** Reads `file` "title", "title"; `file` "title" */
function namedTests(cell: string) {
  return cell.split(/; (?=`)/).flatMap((part) => {
    const [, file, titles] = /^`([\w./-]+)` ("[^"]+"(?:, "[^"]+")*)$/.exec(part) ?? []
    if (!file || !titles) throw new Error(`is no list of tests: ${part}`)
    return [...titles.matchAll(/"([^"]+)"/g)].map(([, title = '']) => ({ file, title }))
  })
}

function isTest({ file, title }: { file: string; title: string }) {
  const name = title.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const declared = file.endsWith('.rs')
    ? `#\\[(?:tokio::)?test(?:\\(.*\\))?\\]\\s+(?:async )?fn ${name}\\(`
    : // A test, a group of tests, or the row of a table of them.
      `(?:\\b(?:test|describe)(?:\\.(?:each\\(.+\\)|runIf\\(isMainThread\\)))?\\(|^ *\\[|\\[\\s+|^ +)(['"\`])${name}\\1(?:,|:)`
  return new RegExp(declared, 'm').test(read(file))
}

test('the page makes promises', () => {
  expect(promises.length).toBeGreaterThan(20)
  expect(page.match(/^### /gm)).toHaveLength(page.match(/^\| promise \| tests \|$/gm)?.length ?? 0)
})

test.each(promises)('%s', (_, cell) => {
  const tests = namedTests(cell)
  expect(tests.length).toBeGreaterThan(0)
  expect(tests.filter((test) => !isTest(test))).toEqual([])
})

describe('josekit', () => {
  const [, section = ''] = page.split('## josekit\n')

  test('is in the version that the page is about', () => {
    const [, version] = /name = "josekit"\nversion = "(.+)"/.exec(read('Cargo.lock')) ?? []
    expect(section).toContain(`josekit ${version} `)
  })

  test('is compared with what is used here by the tests that the page names', () => {
    const names = [...section.matchAll(/`(\w+_\w+)`/g)].map(([, title = '']) => ({ file: 'src/token/tests.rs', title }))
    expect(names).toHaveLength(3)
    expect(names.filter((test) => !isTest(test))).toEqual([])
  })
})

test('no test that is named is skipped', () => {
  const files = new Set(promises.flatMap(([, cell]) => namedTests(cell)).map(({ file }) => file))
  const skips = /\b(?:test|describe|it)\.(?:skip|skipIf|todo|fails|only)\b|#\[ignore/
  expect([...files].filter((file) => skips.test(read(file)))).toEqual([])
})

test('a title that no test has is found', () => {
  const [{ file, title } = { file: '', title: '' }] = namedTests('`src/cookie/mod.rs` "limits"')
  expect(isTest({ file, title })).toBe(true)
  expect(isTest({ file, title: 'limit' })).toBe(false)
  expect(isTest({ file: '__test__/session.spec.ts', title: 'salts the key' })).toBe(false)
})
