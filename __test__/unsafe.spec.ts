// Only one file has `unsafe` code, with a reason for each block. Everywhere else the compiler forbids it.

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

/** The file without comments, which may contain the word. */
const code = (file: string) => read(file).replace(/\/\/.*$/gm, '')

test('only one file has unsafe code', () => {
  const files = [...sources, ...rust('benchmark/'), 'build.rs']
  expect(files.filter((file) => /\bunsafe\b/.test(code(file)))).toEqual([SETTLE])
})

test('every other file forbids it, except those with macros of napi', () => {
  const isForbidden = (file: string) => /^(\/\/!.*\n)*#!\[forbid\(unsafe_code\)\]\n/.test(read(file))
  // The attribute of a module covers its submodules.
  const parent = (file: string) => file.replace(/\/[^/]+$/, '/mod.rs')
  const isOfForbidden = (file: string) => sources.includes(parent(file)) && isForbidden(parent(file))
  const free = sources.filter((file) => !isForbidden(file) && !isOfForbidden(file))
  expect(free.filter((file) => !file.startsWith('src/binding/'))).toEqual(['src/lib.rs'])
  // `src/lib.rs` only declares the modules.
  expect(code('src/lib.rs')).not.toMatch(/\bfn\b/)
})

test('each block explains why it is sound, and clippy requires it', () => {
  expect(read('Cargo.toml')).toMatch(/^undocumented_unsafe_blocks = "warn"$/m)
  expect(read('package.json')).toMatch(/cargo clippy --release --locked --workspace --all-targets -- --deny warnings/)
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
