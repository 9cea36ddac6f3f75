// Tests the vectors with the installed reference implementations. The Rust tests read the same files, with the same clock.

import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { bodyOf, readAsDocumented } from './support/reference.js'
import { makeVectors, NOW, type Vector } from './vectors/make.js'

if (process.env.MAKE_VECTORS) {
  const version = (name: string) =>
    JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url), 'utf8')).version
  vi.useFakeTimers({ now: NOW * 1000, toFake: ['Date'] })
  await makeVectors({ '@auth/core': version('@auth/core'), 'next-auth-4': version('next-auth-4') })
}

const folder = new URL('vectors/', import.meta.url)
const files = readdirSync(folder).filter((file) => file.endsWith('.json'))

beforeAll(() => {
  vi.useFakeTimers({ now: NOW * 1000, toFake: ['Date'] })
})
afterAll(() => {
  vi.useRealTimers()
})

describe.each(files)('%s', (file) => {
  const { vectors }: { vectors: Vector[] } = JSON.parse(readFileSync(new URL(file, folder), 'utf8'))
  test.each(vectors)('$case', async ({ header, now, outcome, ...setup }) => {
    vi.setSystemTime(now * 1000)
    const claims = await readAsDocumented(header, setup)
    expect(claims && bodyOf(claims)).toEqual('body' in outcome ? outcome.body : null)
  })
})
