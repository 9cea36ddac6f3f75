// `unsafe` stands in one file, where each block has its argument, and everywhere else the compiler forbids it.

import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const SETTLE = 'src/binding/settle.rs'
const root = new URL('../', import.meta.url)
const read = (file: string) => readFileSync(new URL(file, root), 'utf8')
const rust = (folder: string) =>
  readdirSync(new URL(folder, root), { encoding: 'utf8', recursive: true })
    .filter((file) => file.endsWith('.rs'))
    .map((file) => `${folder}${file}`)
const sources = rust('src/')

/** Without comments, which may speak of it. */
const code = (file: string) => read(file).replace(/\/\/.*$/gm, '')

test('no file but one has the word', () => {
  const files = [...sources, ...rust('benchmark/'), 'build.rs']
  expect(files.filter((file) => /\bunsafe\b/.test(code(file)))).toEqual([SETTLE])
})

test('the compiler forbids it where no macro of napi needs it', () => {
  const isForbidden = (file: string) => /^(\/\/!.*\n)*#!\[forbid\(unsafe_code\)\]\n/.test(read(file))
  // The modules of a file are forbidden with it.
  const parent = (file: string) => file.replace(/\/[^/]+$/, '/mod.rs')
  const isOfForbidden = (file: string) => sources.includes(parent(file)) && isForbidden(parent(file))
  const free = sources.filter((file) => !isForbidden(file) && !isOfForbidden(file))
  expect(free.filter((file) => !file.startsWith('src/binding/'))).toEqual(['src/lib.rs'])
  // That one only lists the others.
  expect(code('src/lib.rs')).not.toMatch(/\bfn\b/)
})

test('each block says why it is sound, and clippy insists', () => {
  expect(read('Cargo.toml')).toMatch(/^undocumented_unsafe_blocks = "warn"$/m)
  expect(read('package.json')).toMatch(/cargo clippy --release --locked --all-targets -- --deny warnings/)
  const lines = read(SETTLE).split('\n')
  const isUnsafe = (line: string) => /\bunsafe (\{|impl)/.test(line) && !line.trim().startsWith('//')
  const comment = (index: number): string => {
    const above = lines[index - 1].trim()
    return above.startsWith('//') ? `${comment(index - 1)} ${above}` : ''
  }
  const blocks = lines.flatMap((line, index) => (isUnsafe(line) ? [comment(index)] : []))
  expect(blocks.length).toBeGreaterThan(15)
  for (const block of blocks) expect(block).toMatch(/\/\/ SAFETY: \w/)
})
