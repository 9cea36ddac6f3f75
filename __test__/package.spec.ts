import { execFileSync } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))

describe.runIf(process.platform === 'linux')('the binary', () => {
  async function symbols(which: '--defined-only' | '--undefined-only') {
    const binary = (await readdir(root)).find((file) => file.endsWith('.node'))
    const listing = execFileSync('nm', ['--dynamic', which, join(root, binary ?? 'missing.node')], { encoding: 'utf8' })
    return listing
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/).at(-1) ?? '')
  }

  test('exports only the entry point of Node-API', async () => {
    expect(await symbols('--defined-only')).toEqual(['napi_register_module_v1'])
  })

  test('takes no function of OpenSSL from the node that loads it', async () => {
    const taken = await symbols('--undefined-only')
    expect(taken).toContainEqual(expect.stringMatching(/^malloc/))
    expect(taken.filter((name) => /^(AES|BIO|CRYPTO|ERR|EVP|HMAC|OPENSSL|OSSL|SSL|X509)_/.test(name))).toEqual([])
  })
})

test('the error codes of the source are those of the types and of the README', async () => {
  async function codes(path: string) {
    const text = await readFile(join(root, path), 'utf8')
    return [...new Set(text.match(/\bERR_AUTH_BRIDGE_[A-Z]+\b/g))].sort()
  }
  const source = await codes('src/error.rs')
  expect(source).toHaveLength(5)
  expect(await codes('index.d.ts')).toEqual(source)
  expect(await codes('README.md')).toEqual(source)
})
