import { deflateRawSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AuthBridge } from '../index.js'
import { SECRET } from './support/bridges.js'
import { COOKIE_NAME, mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { compact, deriveKey, EMPTY, type Enc, type Parts, seal, thumbprint } from './support/forge.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const CBC = 'A256CBC-HS512'
const GCM = 'A256GCM'
const KEYS = { [CBC]: deriveKey(SECRET, CBC), [GCM]: deriveKey(SECRET, GCM) }

const database = useDatabase()
let bridge: AuthBridge
let claims: Record<string, unknown>
let plaintext: Buffer

beforeAll(async () => {
  bridge = new AuthBridge({ secret: SECRET, databaseUrl: database.url })
  const user = await createUser(database.client)
  const session = await createSession(database.client, user)
  claims = { ...claimsOf(user, session), exp: Date.now() / 1000 + 3600 }
  plaintext = Buffer.from(JSON.stringify(claims))
})
afterAll(() => bridge.close())

const read = (token: string) => bridge.getSession(`${COOKIE_NAME}=${token}`)
const good = (enc: Enc, parts = {}) => seal(KEYS[enc], enc, plaintext, parts)
const changed = (parts: Parts, change: Partial<Parts>) => compact({ ...parts, ...change })
const header = (header: object, enc: Enc = CBC) => compact(good(enc, { header: { alg: 'dir', enc, ...header } }))
const flipped = (bytes: Uint8Array, index: number) => bytes.map((byte, at) => (at === index ? byte ^ 1 : byte))

describe('opened', () => {
  test.each<[string, () => string]>([
    ['CBC', () => compact(good(CBC))],
    ['GCM', () => compact(good(GCM))],
    ['CBC without kid', () => header({})],
    ['GCM without kid', () => header({}, GCM)],
    ['other headers', () => header({ typ: 'JWT', cty: 'x', x: { y: 1 } })],
    ['exp within the tolerance', () => compact(seal(KEYS[CBC], CBC, withClaims({ exp: Date.now() / 1000 - 10 })))],
    ['nbf within the tolerance', () => compact(seal(KEYS[CBC], CBC, withClaims({ nbf: Date.now() / 1000 + 10 })))],
    ['iat in the future', () => compact(seal(KEYS[CBC], CBC, withClaims({ iat: Date.now() / 1000 + 999 })))],
  ])('%s', async (_, token) => {
    expect((await read(token())).session_id).toBe(claims.session_id)
  })

  test('@auth/core writes the same header as the forge of these tests', async () => {
    const cookie = await mintCookie(claims, { secret: SECRET })
    const [protectedHeader] = cookie.slice(COOKIE_NAME.length + 1).split('.')
    const decoded = JSON.parse(Buffer.from(protectedHeader ?? '', 'base64url').toString())
    expect(decoded).toEqual({ alg: 'dir', enc: CBC, kid: thumbprint(KEYS[CBC]) })
  })
})

describe('refused', () => {
  test.each<[string, () => string]>([
    ['CBC: bad padding', () => compact(seal(KEYS[CBC], CBC, Buffer.alloc(32, 0x11), { pad: false }))],
    ['CBC: bad tag', () => changed(good(CBC), { tag: flipped(good(CBC).tag, 0) })],
    ['CBC: bad padding and bad tag', () => badPaddingAndTag()],
    ['CBC: ciphertext changed', () => changed(good(CBC), { ciphertext: flipped(good(CBC).ciphertext, 20) })],
    ['CBC: IV changed', () => changed(good(CBC), { iv: flipped(good(CBC).iv, 0) })],
    ['CBC: empty IV', () => compact(good(CBC, { iv: EMPTY }))],
    ['CBC: IV of 8 bytes', () => compact(good(CBC, { iv: new Uint8Array(8).fill(7) }))],
    ['CBC: no tag', () => changed(good(CBC), { tag: EMPTY })],
    ['CBC: tag of 16 bytes', () => changed(good(CBC), { tag: good(CBC).tag.subarray(0, 16) })],
    ['CBC: no ciphertext', () => changed(good(CBC), { ciphertext: EMPTY })],
    ['GCM: tag of 1 byte', () => changed(good(GCM), { tag: good(GCM).tag.subarray(0, 1) })],
    ['GCM: tag of 4 bytes', () => changed(good(GCM), { tag: good(GCM).tag.subarray(0, 4) })],
    ['GCM: tag of 8 bytes', () => changed(good(GCM), { tag: good(GCM).tag.subarray(0, 8) })],
    ['GCM: tag of 15 bytes', () => changed(good(GCM), { tag: good(GCM).tag.subarray(0, 15) })],
    ['GCM: no tag', () => changed(good(GCM), { tag: EMPTY })],
    ['GCM: no ciphertext', () => changed(good(GCM), { ciphertext: EMPTY })],
    ['GCM: bad tag', () => changed(good(GCM), { tag: flipped(good(GCM).tag, 15) })],
    ['GCM: empty IV', () => changed(good(GCM), { iv: EMPTY })],
    ['GCM: IV of 8 bytes', () => compact(good(GCM, { iv: new Uint8Array(8).fill(7) }))],
    ['crit', () => header({ crit: ['exp'], exp: 1 })],
    ['crit: empty', () => header({ crit: [] })],
    ['zip: small, inflates to 20 MB', () => bomb()],
    [
      'zip',
      () => compact(seal(KEYS[CBC], CBC, deflateRawSync(plaintext), { header: { alg: 'dir', enc: CBC, zip: 'DEF' } })),
    ],
    ['alg: A256KW', () => header({ alg: 'A256KW' })],
    ['alg: RSA-OAEP', () => header({ alg: 'RSA-OAEP' })],
    ['alg: none', () => header({ alg: 'none' })],
    ['alg: an array', () => header({ alg: ['dir'] })],
    ['enc: A128CBC-HS256', () => header({ enc: 'A128CBC-HS256' })],
    ['enc: A256GCM for a CBC token', () => header({ enc: GCM })],
    ['kid: of another key', () => header({ kid: thumbprint(KEYS[GCM]) })],
    ['kid: empty', () => header({ kid: '' })],
    ['kid: null', () => header({ kid: null })],
    ['iss in the header', () => header({ iss: 'a' })],
    ['sub in the header', () => header({ sub: 'a' })],
    ['aud in the header', () => header({ aud: ['a'] })],
    ['a header of more than 2 KiB', () => header({ x: 'x'.repeat(1600) })],
    ['encrypted key', () => changed(good(CBC), { encryptedKey: new Uint8Array([1]) })],
    ['four parts', () => compact(good(CBC)).split('.').slice(0, 4).join('.')],
    ['six parts', () => `${compact(good(CBC))}.AA`],
    ['header of another token', () => changed(good(CBC), { header: JSON.stringify({ alg: 'dir', enc: CBC }) })],
    ['another secret', () => compact(seal(deriveKey('foreign', CBC), CBC, plaintext))],
    [
      'another secret without kid',
      () => compact(seal(deriveKey('foreign', CBC), CBC, plaintext, { header: { alg: 'dir', enc: CBC } })),
    ],
    ['no exp', () => compact(seal(KEYS[CBC], CBC, withClaims({ exp: undefined })))],
    ['exp null', () => compact(seal(KEYS[CBC], CBC, withClaims({ exp: null })))],
    ['exp a string', () => compact(seal(KEYS[CBC], CBC, withClaims({ exp: '9999999999' })))],
    ['exp past the tolerance', () => compact(seal(KEYS[CBC], CBC, withClaims({ exp: Date.now() / 1000 - 17 })))],
    ['nbf past the tolerance', () => compact(seal(KEYS[CBC], CBC, withClaims({ nbf: Date.now() / 1000 + 30 })))],
    ['nbf a string', () => compact(seal(KEYS[CBC], CBC, withClaims({ nbf: '1' })))],
    ['iat a string', () => compact(seal(KEYS[CBC], CBC, withClaims({ iat: '1' })))],
    ['plaintext an array', () => compact(seal(KEYS[CBC], CBC, Buffer.from(JSON.stringify([claims]))))],
    ['plaintext not JSON', () => compact(seal(KEYS[CBC], CBC, Buffer.from('session')))],
    ['plaintext empty', () => compact(seal(KEYS[CBC], CBC, EMPTY))],
  ])('%s', async (_, token) => {
    expect(await read(token())).toEqual({})
  })
})

function withClaims(change: Record<string, unknown>) {
  return Buffer.from(JSON.stringify({ ...claims, ...change }))
}

function badPaddingAndTag() {
  const parts = seal(KEYS[CBC], CBC, Buffer.alloc(32, 0x11), { pad: false })
  return changed(parts, { tag: flipped(parts.tag, 0) })
}

/** A token below the size limit that would inflate to 20 MB of white space and valid claims. */
function bomb() {
  const inflated = Buffer.concat([Buffer.alloc(20_000_000, ' '), plaintext])
  const token = compact(
    seal(KEYS[CBC], CBC, deflateRawSync(inflated), { header: { alg: 'dir', enc: CBC, zip: 'DEF' } }),
  )
  expect(token.length).toBeLessThan(32_768)
  return token
}

test('nothing is inflated: zip is refused before the content is read', async () => {
  const token = compact(
    seal(KEYS[CBC], CBC, Buffer.from('no DEFLATE'), { header: { alg: 'dir', enc: CBC, zip: 'DEF' } }),
  )
  expect(await bridge.explainSession(`${COOKIE_NAME}=${token}`)).toMatchObject({
    reason: 'unsupported-header',
    fields: ['zip'],
  })
})

test('wrong padding and a wrong tag have the same explanation', async () => {
  const parts = seal(KEYS[CBC], CBC, Buffer.alloc(32, 0x11), { pad: false })
  const explain = (token: string) => bridge.explainSession(`${COOKIE_NAME}=${token}`)
  const padding = await explain(compact(parts))
  expect(padding).toMatchObject({ reason: 'undecryptable' })
  expect(await explain(changed(parts, { tag: flipped(parts.tag, 0) }))).toEqual(padding)
})

describe('without a valid token no query is sent: {} although the database is down', () => {
  const nowhere = new AuthBridge({ secret: SECRET, databaseUrl: 'postgres://u:p@127.0.0.1:1/d', connectTimeout: 1000 })
  afterAll(() => nowhere.close())
  const withClaims = (change: object) => {
    return compact(seal(KEYS[CBC], CBC, Buffer.from(JSON.stringify({ ...claims, ...change }))))
  }

  test.each<[string, () => string]>([
    ['no token', () => ''],
    ['garbage', () => 'x.y.z'],
    ['a wrong tag', () => changed(good(CBC), { tag: flipped(good(CBC).tag, 31) })],
    ['a wrong tag of GCM', () => changed(good(GCM), { tag: flipped(good(GCM).tag, 15) })],
    ['the key of another secret', () => compact(seal(deriveKey('another secret', CBC), CBC, plaintext))],
    ['an expired token', () => withClaims({ exp: 1 })],
    ['a token that is not yet valid', () => withClaims({ nbf: 9e9 })],
    ['no session_id', () => withClaims({ session_id: undefined })],
    ['an empty tenant', () => withClaims({ tenant: '' })],
    ['a session_id that no column can hold', () => withClaims({ session_id: 'a\0b' })],
    ['a user id that no column can hold', () => withClaims({ id: 'x'.repeat(10_000) })],
    ['a user id that is no id', () => withClaims({ id: true })],
    ['an unknown user_type', () => withClaims({ user_type: 'admin' })],
  ])('%s', async (_, token) => {
    const cookie = `${COOKIE_NAME}=${token()}`
    expect(await nowhere.getSession(cookie)).toEqual({})
    expect(await nowhere.getSessionJson(cookie)).toBe('{}')
    expect(await nowhere.explainSession(cookie)).toMatchObject({ status: 'unauthenticated' })
  })

  test('a valid token rejects, since the database is down', async () => {
    await expect(nowhere.getSession(`${COOKIE_NAME}=${compact(good(CBC))}`)).rejects.toMatchObject({
      code: 'ERR_AUTH_BRIDGE_DATABASE',
    })
  })
})
