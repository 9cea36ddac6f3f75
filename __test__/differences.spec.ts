// A test for each row of docs/differences.md: what the reference does, and what this package does.

import { createCipheriv, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { deflateRawSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AuthBridge } from '../index.js'
import { useDatabase } from './support/database.js'
import { compact, deriveKey, EMPTY, type Parts, seal, thumbprint } from './support/forge.js'
import { type Claims, type Issuer, readByReference } from './support/reference.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const SECRETS = ['the newest of the secrets', 'the oldest of the secrets']
const [NEWEST = '', OLDEST = ''] = SECRETS
const NAMES: Record<Issuer, string> = { authjs: 'authjs.session-token', 'next-auth-v4': 'next-auth.session-token' }
const V5 = NAMES.authjs
const CBC = 'A256CBC-HS512'
const GCM = 'A256GCM'

const database = useDatabase()
let bridge: AuthBridge
let claims: Claims
beforeAll(async () => {
  bridge = new AuthBridge({ secret: SECRETS, databaseUrl: database.url, cookieName: Object.values(NAMES) })
  const user = await createUser(database.client)
  claims = { ...claimsOf(user, await createSession(database.client, user)), exp: 4_102_444_800 }
})
afterAll(() => bridge.close())

const text = (change: object = {}) => Buffer.from(JSON.stringify({ ...claims, ...change }))
const key5 = (secret = NEWEST) => deriveKey(secret, CBC)
const key4 = (secret = NEWEST) => deriveKey(secret, GCM, 'next-auth-v4')
const v5 = (header: object = {}, plaintext = text(), secret = NEWEST) =>
  seal(key5(secret), CBC, plaintext, { header: { alg: 'dir', enc: CBC, kid: thumbprint(key5(secret)), ...header } })
const v4 = (header: object = {}, plaintext = text(), secret = NEWEST) =>
  compact(seal(key4(secret), GCM, plaintext, { header: { alg: 'dir', enc: GCM, ...header } }))

const ACCEPTS = true
const REFUSES = false

/** Row of the page, request, issuer, whether the reference accepts it, whether this package accepts it. */
const rows: [row: string, request: () => string, issuer: Issuer, reference: boolean, here: boolean][] = [
  ['cookies by prefix', () => `${V5}=${compact(v5())}; ${V5}.3000=x`, 'authjs', REFUSES, ACCEPTS],
  ['cookies by prefix', () => `${V5}-x=x; ${V5}=${compact(v5())}`, 'authjs', REFUSES, ACCEPTS],
  ['several cookies', () => `${V5}=x; ${V5}=${compact(v5())}`, 'authjs', REFUSES, ACCEPTS],
  ['whole cookie beside chunks', () => `${V5}=${compact(v5())}; ${V5}.0=stale`, 'authjs', REFUSES, ACCEPTS],
  ['no `kid`', () => `${V5}=${compact(v5({ kid: undefined }, text(), OLDEST))}`, 'authjs', REFUSES, ACCEPTS],
  [
    'next-auth 4: rotation',
    () => `${NAMES['next-auth-v4']}=${v4({}, text(), OLDEST)}`,
    'next-auth-v4',
    REFUSES,
    ACCEPTS,
  ],
  ['no `exp`', () => `${V5}=${compact(v5({}, text({ exp: undefined })))}`, 'authjs', ACCEPTS, REFUSES],
  ['base64url spelling', () => `${V5}=${compact(v5())}=`, 'authjs', ACCEPTS, REFUSES],
  ['base64url spelling', () => `${V5}=${compact(v5()).replace(/\.(?=[^.]*$)/, '%20.')}`, 'authjs', ACCEPTS, REFUSES],
  ['`zip`', () => `${V5}=${compact(v5({ zip: 'DEF' }, deflateRawSync(text())))}`, 'authjs', ACCEPTS, REFUSES],
  ['header', () => `${V5}=${compact(v5({ typ: 1 }))}`, 'authjs', ACCEPTS, REFUSES],
  ['claims in the header', () => `${V5}=${compact(v5({ sub: claims.sub }))}`, 'authjs', ACCEPTS, REFUSES],
  ['next-auth 4: `kid`', () => `${NAMES['next-auth-v4']}=${v4({ kid: 'other' })}`, 'next-auth-v4', ACCEPTS, REFUSES],
  ['next-auth 4: `enc`', () => `${NAMES['next-auth-v4']}=${compact(cbc128())}`, 'next-auth-v4', ACCEPTS, REFUSES],
  [
    'next-auth 4: text',
    () => `${NAMES['next-auth-v4']}=${v4({}, Buffer.from(text({ name: '\xff' }).toString(), 'latin1'))}`,
    'next-auth-v4',
    ACCEPTS,
    REFUSES,
  ],
  ['next-auth 4: quoted value', () => `${NAMES['next-auth-v4']}="${v4()}"`, 'next-auth-v4', ACCEPTS, REFUSES],
  ['size', () => `${V5}=${compact(v5({ x: 'x'.repeat(1500) }))}`, 'authjs', ACCEPTS, REFUSES],
  ['size', () => `${V5}=${compact(v5({}, text({ more: 'x'.repeat(25_000) })))}`, 'authjs', ACCEPTS, REFUSES],
]

test.each(rows)('%s', async (_row, request, issuer, reference, here) => {
  const header = request()
  const setup = { issuer, name: NAMES[issuer], secrets: SECRETS }
  expect((await readByReference(header, setup)) !== null).toBe(reference)
  expect((await bridge.getSession(header)).session_id !== undefined).toBe(here)
})

test('other tokens are accepted by all', async () => {
  for (const [header, issuer] of [
    [`${V5}=${compact(v5())}`, 'authjs'],
    [`${NAMES['next-auth-v4']}=${v4()}`, 'next-auth-v4'],
  ] as const) {
    const setup = { issuer, name: NAMES[issuer], secrets: SECRETS }
    expect(await readByReference(header, setup)).not.toBeNull()
    expect((await bridge.getSession(header)).session_id).toBe(claims.session_id)
  }
})

test('every row of the page has a test', () => {
  const page = readFileSync(new URL('../docs/differences.md', import.meta.url), 'utf8')
  // What is written is tested in refresh-differential.spec.ts.
  const [read = ''] = page.split('## What is written')
  const documented = [...read.matchAll(/^\| ([^|]+?) \|/gm)].map(([, row]) => row).slice(2)
  // The environment is tested in process.spec.ts.
  const environment = ['`AUTH_SECRET_1` to `_3`', 'secrets of next-auth 4']
  expect(new Set([...rows.map(([row]) => row), ...environment])).toEqual(new Set(documented))
})

/** A token with `A128CBC-HS256`, whose key has 32 bytes like that of next-auth 4 (RFC 7518 section 5.2.3). */
function cbc128(): Parts {
  const header = JSON.stringify({ alg: 'dir', enc: 'A128CBC-HS256' })
  const aad = Buffer.from(header).toString('base64url')
  const iv = new Uint8Array(16).fill(7)
  const cipher = createCipheriv('aes-128-cbc', key4().subarray(16), iv)
  const ciphertext = Buffer.concat([cipher.update(text()), cipher.final()])
  const bits = Buffer.alloc(8)
  bits.writeBigUInt64BE(BigInt(aad.length * 8))
  const mac = createHmac('sha256', key4().subarray(0, 16))
  for (const part of [aad, iv, ciphertext, bits]) mac.update(part)
  return { header, encryptedKey: EMPTY, iv, ciphertext, tag: mac.digest().subarray(0, 16) }
}
