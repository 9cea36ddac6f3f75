// Tests every reason of `explainSession`, with real tokens and a real database.

import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AuthBridge, type AuthBridgeOptions, defaultBridge, explainSession } from '../index.js'
import { SECRET } from './support/bridges.js'
import { COOKIE_NAME, mintCookie, SECURE_COOKIE_NAME } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { compact, deriveKey, seal, thumbprint } from './support/forge.js'
import { freePort } from './support/postgres.mjs'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'
import { reasons } from './support/vocabulary.js'

const OTHER_SECRET = 'another secret, of 32 bytes, too'
const CBC = 'A256CBC-HS512'
const EXP = 4_102_444_800

const database = useDatabase()
let bridge: AuthBridge
let user: Awaited<ReturnType<typeof createUser>>
let session: Awaited<ReturnType<typeof createSession>>

beforeAll(async () => {
  bridge = new AuthBridge({ secret: [SECRET, OTHER_SECRET], databaseUrl: database.url, absoluteMaxAge: 86_400 })
  // From here on it knows which ids the columns can hold.
  await bridge.health()
})
afterAll(() => bridge.close())
beforeEach(async () => {
  user = await createUser(database.client)
  session = await createSession(database.client, user)
})

const now = () => Math.floor(Date.now() / 1000)
const iso = (seconds: number) => new Date(seconds * 1000).toISOString().replace('.000', '')
const claims = (more: object = {}) => ({ ...claimsOf(user, session), exp: EXP, ...more })
/** A token with any header and any plaintext, and a right tag. */
function forge(plaintext: object | string = claims(), header: object = {}, secret = SECRET) {
  const key = deriveKey(secret, CBC)
  const text = typeof plaintext === 'string' ? plaintext : JSON.stringify(plaintext)
  const usual = { alg: 'dir', enc: CBC, kid: thumbprint(key) }
  return compact(seal(key, CBC, Buffer.from(text), { header: { ...usual, ...header } }))
}
const whole = (token: string) => `${COOKIE_NAME}=${token}`
const kid = (secret: string) => thumbprint(deriveKey(secret, CBC)).slice(0, 8)
const run = (sql: string) => database.client.query(sql.replaceAll('$id', `'${session.session_id}'`))

const WHOLE = { name: COOKIE_NAME, whole: true, chunks: [] }
/** The `session` of the explanation. */
const sessionOfClaims = () => ({
  sessionId: session.session_id,
  tenant: user.tenant,
  userId: user.user_id,
  userType: user.user_type,
  tokenExpiresAt: iso(EXP),
})

type Case = {
  reason: string
  request: () => string | Promise<string>
  details?: () => object
  status?: string
  cookie?: object
  change?: () => Promise<unknown>
}

const live: Case[] = [
  { reason: 'live', status: 'authenticated', request: () => mintCookie(claims(), { secret: SECRET }) },
  { reason: 'live', status: 'authenticated', request: () => whole(forge(claims(), { kid: undefined }, OTHER_SECRET)) },
  {
    reason: 'live',
    status: 'authenticated',
    request: () => `${COOKIE_NAME}.3000=x; ${COOKIE_NAME}.1=stale; ${whole(forge())}`,
    cookie: { ...WHOLE, chunks: [1] },
  },
]

const noCookie = (nearMisses: object[] = []) => ({ expected: [SECURE_COOKIE_NAME, COOKIE_NAME], nearMisses })
const absent: Case[] = [
  { reason: 'no-cookie', request: () => '', details: noCookie },
  { reason: 'no-cookie', request: () => 'theme=dark; csrf=1', details: noCookie },
  {
    reason: 'no-cookie',
    request: () => '__Host-authjs.session-token=x; next-auth.session-token.0=x; authjs.session-token.3000=x',
    details: () =>
      noCookie([
        { name: '__Host-authjs.session-token', differs: ['prefix'] },
        { name: 'next-auth.session-token', differs: ['prefix', 'issuer'] },
        { name: 'authjs.session-token.3000', differs: ['prefix', 'suffix'] },
      ]),
  },
  {
    reason: 'no-cookie',
    request: () => `theme=dark, ${whole('x')}`,
    details: () => noCookie([{ name: COOKIE_NAME, differs: ['separator'] }]),
  },
  { reason: 'header-too-large', request: () => 'x'.repeat(65_537), details: () => ({ bytes: 65_537, limit: 65_536 }) },
  {
    reason: 'chunk-gap',
    request: () => `${COOKIE_NAME}.1=x; ${COOKIE_NAME}.2=y`,
    cookie: { name: COOKIE_NAME, whole: false, chunks: [1, 2] },
    details: () => ({ missing: 0 }),
  },
]

const undecryptable: Case[] = [
  { reason: 'empty-cookie', request: () => whole('') },
  {
    reason: 'chunk-gap',
    request: () =>
      forge().replace(/^(.{9})(.{9})(.*)$/, `${COOKIE_NAME}.3=$3; ${COOKIE_NAME}.0=$1; ${COOKIE_NAME}.1=$2`),
    cookie: { name: COOKIE_NAME, whole: false, chunks: [0, 1, 3] },
    details: () => ({ missing: 2 }),
  },
  {
    reason: 'stale-chunks',
    request: () =>
      forge().replace(
        /^(.{9})(.*)$/,
        `${COOKIE_NAME}.0=$1; ${COOKIE_NAME}.1=$2; ${COOKIE_NAME}.2=x; ${COOKIE_NAME}.3=y`,
      ),
    cookie: { name: COOKIE_NAME, whole: false, chunks: [0, 1, 2, 3] },
    details: () => ({ stale: [2, 3] }),
  },
  {
    // Stale chunks have precedence over a gap.
    reason: 'stale-chunks',
    request: () =>
      forge().replace(
        /^(.{9})(.*)$/,
        `${COOKIE_NAME}.0=$1; ${COOKIE_NAME}.1=$2; ${COOKIE_NAME}.2=x; ${COOKIE_NAME}.4=y`,
      ),
    cookie: { name: COOKIE_NAME, whole: false, chunks: [0, 1, 2, 4] },
    details: () => ({ stale: [2, 4] }),
  },
  {
    // An empty whole cookie doesn't hide the problem with the chunks.
    reason: 'chunk-gap',
    request: () => forge().replace(/^(.{9})(.*)$/, `${COOKIE_NAME}=; ${COOKIE_NAME}.0=$1; ${COOKIE_NAME}.2=$2`),
    cookie: { ...WHOLE, chunks: [0, 2] },
    details: () => ({
      missing: 1,
      readings: [
        { name: COOKIE_NAME, whole: true, reason: 'empty-cookie' },
        { name: COOKIE_NAME, whole: false, reason: 'malformed-token' },
      ],
    }),
  },
  {
    reason: 'chunk-gap',
    request: () => `${COOKIE_NAME}.0=; ${COOKIE_NAME}.2=x`,
    cookie: { name: COOKIE_NAME, whole: false, chunks: [0, 2] },
    details: () => ({ missing: 1 }),
  },
  {
    // The first chunk is a whole token, so the gap after it is not the reason.
    reason: 'no-matching-secret',
    request: () => `${COOKIE_NAME}.0=${forge(claims(), {}, 'a foreign secret')}; ${COOKIE_NAME}.5=x`,
    cookie: { name: COOKIE_NAME, whole: false, chunks: [0, 5] },
    details: () => ({
      kid: kid('a foreign secret'),
      secrets: [
        { index: 0, kid: kid(SECRET) },
        { index: 1, kid: kid(OTHER_SECRET) },
      ],
    }),
  },
  {
    reason: 'unsupported-header',
    request: () => whole(forge(claims(), { iss: 'a', sub: 'b', aud: ['c'] })),
    details: () => ({ fields: ['iss', 'sub', 'aud'] }),
  },
  {
    reason: 'token-too-large',
    request: () => whole('x'.repeat(32_769)),
    details: () => ({ bytes: 32_769, limit: 32_768 }),
  },
  { reason: 'malformed-token', request: () => whole('garbage') },
  { reason: 'malformed-token', request: () => whole(session.session_id.replaceAll('-', '')) },
  { reason: 'malformed-token', request: () => whole('eyJhbGciOiJub25lIn0.e30.') },
  { reason: 'database-token', request: () => whole(randomUUID()) },
  { reason: 'database-token', request: () => whole('0123456789abcdef'.repeat(4)) },
  { reason: 'signed-token', request: () => whole('eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl') },
  {
    reason: 'unsupported-header',
    request: () => whole(forge(claims(), { alg: 'A256KW', crit: ['exp'], exp: 1 })),
    details: () => ({ fields: ['alg', 'crit'] }),
  },
  {
    reason: 'unsupported-header',
    request: () => whole(forge(claims(), { enc: 'A128GCM', zip: 'DEF' })),
    details: () => ({ fields: ['enc', 'zip'] }),
  },
  {
    reason: 'no-matching-secret',
    request: () => mintCookie(claims(), { secret: 'a secret that is not configured' }),
    details: () => ({
      kid: kid('a secret that is not configured'),
      secrets: [
        { index: 0, kid: kid(SECRET) },
        { index: 1, kid: kid(OTHER_SECRET) },
      ],
    }),
  },
  { reason: 'undecryptable', request: () => whole(`${forge().slice(0, -4)}AAAA`) },
  { reason: 'undecryptable', request: () => whole(forge(claims(), { kid: undefined }, 'a foreign secret')) },
  {
    reason: 'undecryptable',
    request: () => `${whole('garbage')}; ${COOKIE_NAME}.0=${forge().slice(0, -4)}AAAA`,
    cookie: { ...WHOLE, chunks: [0] },
    details: () => ({
      readings: [
        { name: COOKIE_NAME, whole: true, reason: 'malformed-token' },
        { name: COOKIE_NAME, whole: false, reason: 'undecryptable' },
      ],
    }),
  },
]

const badClaims: Case[] = [
  { reason: 'malformed-claims', request: () => whole(forge('[]')), details: () => ({ claim: null }) },
  { reason: 'malformed-claims', request: () => whole(forge(claims({ exp: '1' }))), details: () => ({ claim: 'exp' }) },
  { reason: 'malformed-claims', request: () => whole(forge(claims({ iat: null }))), details: () => ({ claim: 'iat' }) },
  {
    reason: 'missing-claims',
    request: () => whole(forge(claims({ exp: undefined }))),
    details: () => ({ claims: ['exp'] }),
  },
  {
    reason: 'missing-claims',
    request: () => whole(forge({ exp: EXP, tenant: 'acme' })),
    details: () => ({ claims: ['session_id', 'tenant', 'id', 'user_type'] }),
  },
  {
    reason: 'token-expired',
    request: () => mintCookie(claims({ exp: undefined }), { secret: SECRET, maxAge: -60 }),
    details: () => ({ expiredAt: expect.stringMatching(/Z$/), secondsAgo: expect.closeTo(60, -1) }),
  },
  {
    reason: 'token-expired',
    request: () => whole(forge(claims({ exp: 1_700_000_000 }))),
    details: () => ({ expiredAt: '2023-11-14T22:13:20Z', secondsAgo: expect.closeTo(now() - 1_700_000_000, -1) }),
  },
  {
    reason: 'token-not-yet-valid',
    request: () => whole(forge(claims({ nbf: EXP - 1 }))),
    details: () => ({ validFrom: iso(EXP - 1), secondsToGo: expect.closeTo(EXP - 1 - now(), -1) }),
  },
]

const good = () => mintCookie(claims(), { secret: SECRET })
const byDatabase: Case[] = [
  { reason: 'session-unknown', request: good, change: () => run('DELETE FROM sessions WHERE session_id = $id') },
  {
    reason: 'session-revoked',
    request: good,
    change: () =>
      run(
        `UPDATE sessions SET revoked_at = '2026-01-02 03:04:05Z', revoked_reason = 'lost phone' WHERE session_id = $id`,
      ),
    details: () => ({ revokedAt: '2026-01-02T03:04:05Z', revokedReason: 'lost phone' }),
  },
  {
    reason: 'session-revoked',
    request: good,
    change: () => run(`UPDATE sessions SET revoked_at = 'infinity', expires_at = '2001-01-01' WHERE session_id = $id`),
    details: () => ({ revokedAt: null, revokedReason: null }),
  },
  {
    reason: 'session-too-old',
    request: good,
    change: () => run(`UPDATE sessions SET created_at = now() - interval '1 day' WHERE session_id = $id`),
  },
  {
    reason: 'session-expired',
    request: good,
    change: () => run(`UPDATE sessions SET expires_at = '2026-01-02 03:04:05.678+01' WHERE session_id = $id`),
    details: () => ({ expiredAt: '2026-01-02T02:04:05.678Z' }),
  },
  {
    reason: 'user-mismatch',
    request: good,
    change: async () => {
      otherUser = (await createUser(database.client)).user_id
      await run(`UPDATE sessions SET user_id = '${otherUser}' WHERE session_id = $id`)
    },
    details: () => ({ sessionUserId: otherUser }),
  },
  {
    reason: 'user-gone',
    request: good,
    change: () => run(`DELETE FROM users WHERE user_id = '${user.user_id}'`),
  },
  {
    reason: 'user-type-changed',
    request: good,
    change: () => run(`UPDATE users SET user_type = 'client' WHERE user_id = '${user.user_id}'`),
    details: () => ({ from: 'internal', to: 'client' }),
  },
]
let otherUser: string

const named = (cases: Case[]) => cases.map((one): [string, Case] => [one.reason, one])
const nothing = () => ({})

describe('agrees with getSession, and says why', () => {
  test.each(named(absent))('%s', async (reason, { request, details = nothing, cookie }) => {
    const header = await request()
    expect(await bridge.explainSession(header)).toEqual({
      ...{ status: 'unauthenticated', reason, ...details() },
      ...(cookie && { cookie }),
    })
    expect(await bridge.getSession(header)).toEqual({})
  })

  test.each(named([...undecryptable, ...badClaims]))(
    '%s',
    async (reason, { request, details = nothing, cookie = WHOLE }) => {
      const header = await request()
      const expected = { status: 'unauthenticated', reason, ...details(), cookie }
      expect(await bridge.explainSession(header)).toEqual(expected)
      expect(await bridge.getSession(header)).toEqual({})
    },
  )

  test.each(named([...live, ...byDatabase]))('%s', async (reason, { request, details = nothing, change, ...more }) => {
    const header = whole(forge())
    const { status = 'unauthenticated', cookie = WHOLE } = more
    const sent = reason === 'live' ? await request() : header
    await change?.()
    const { session: shown, ...explanation } = (await bridge.explainSession(sent)) as { session: object }
    expect(explanation).toEqual({ status, reason, ...details(), cookie })
    expect(shown).toEqual({ ...sessionOfClaims(), tokenExpiresAt: expect.stringMatching(/^2\d{3}-.*Z$/) })
    expect((await bridge.getSession(sent)).session_id).toBe(status === 'authenticated' ? session.session_id : undefined)
  })

  test('an Auth.js token under the name of next-auth 4, which has no key for CBC', async () => {
    const both = new AuthBridge({ secret: SECRET, databaseUrl: database.url, cookieName: 'next-auth.session-token' })
    expect(await both.explainSession(`next-auth.session-token=${forge(claims(), { kid: undefined })}`)).toEqual({
      ...{ status: 'unauthenticated', reason: 'no-matching-secret', kid: null, secrets: [] },
      cookie: { ...WHOLE, name: 'next-auth.session-token' },
    })
    await both.close()
  })

  test('an expired row is live with ignoreExpiresAt', async () => {
    const lenient = new AuthBridge({ secret: SECRET, databaseUrl: database.url, ignoreExpiresAt: true })
    await run(`UPDATE sessions SET expires_at = now() - interval '1 day' WHERE session_id = $id`)
    expect((await bridge.explainSession(whole(forge()))).reason).toBe('session-expired')
    expect((await lenient.explainSession(whole(forge()))).reason).toBe('live')
    await lenient.close()
  })

  test('the reason is known even if revoked_reason may not be read', async () => {
    const role = `reader_${randomUUID().replaceAll('-', '')}`
    const columns = 'tenant, session_id, user_id, expires_at, revoked_at'
    await run(`CREATE ROLE ${role} LOGIN PASSWORD 'reader'`)
    await run(`GRANT SELECT (${columns}) ON sessions TO ${role}; GRANT SELECT ON users TO ${role}`)
    const url = new URL(database.url)
    Object.assign(url, { username: role, password: 'reader' })
    const reader = new AuthBridge({ secret: SECRET, databaseUrl: url.href })
    await run(`UPDATE sessions SET revoked_at = now(), revoked_reason = 'x' WHERE session_id = $id`)
    const { reason, ...details } = await reader.explainSession(whole(forge()))
    expect(reason).toBe('session-revoked')
    expect(details).toMatchObject({ revokedAt: null, revokedReason: null })
    await reader.close()
    await run(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
  })
})

describe('database-unavailable', () => {
  test.each<[string, () => Promise<string>, RegExp]>([
    ['nothing listens', async () => `postgres://u:hunter2@127.0.0.1:${await freePort()}/d`, /^cannot connect/],
    ['wrong database', async () => database.url.replace(/[^/]*$/, 'nowhere'), /"nowhere" does not exist/],
  ])('%s: with the code and the message that getSession rejects with', async (_, url, message) => {
    const unreachable = new AuthBridge({ secret: SECRET, databaseUrl: await url() })
    const explanation = await unreachable.explainSession(whole(forge()))
    expect(explanation).toEqual({
      ...{ status: 'unavailable', reason: 'database-unavailable', code: 'ERR_AUTH_BRIDGE_DATABASE' },
      ...{ message: expect.stringMatching(message), cookie: WHOLE, session: sessionOfClaims() },
    })
    expect(JSON.stringify(explanation)).not.toContain('hunter2')
    await expect(unreachable.getSession(whole(forge()))).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_DATABASE' })
    expect((await unreachable.explainSession('')).reason).toBe('no-cookie')
    await unreachable.close()
  })
})

describe('mistakes of the developer reject, as in getSession', () => {
  test('a header of another type, a closed bridge', async () => {
    const closed = new AuthBridge({ secret: SECRET, databaseUrl: database.url })
    const number = 7 as unknown as string
    await expect(closed.explainSession(number)).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_ARGUMENT' })
    await closed.close()
    await expect(closed.explainSession('')).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_CLOSED' })
  })

  test('the module without a configuration', async () => {
    const error = await explainSession('theme=dark').catch((error) => error)
    expect(error).toMatchObject({ code: 'ERR_AUTH_BRIDGE_CONFIG', message: expect.stringMatching(/^secret: /) })
  })

  test('the module with one', async () => {
    const configuration = { AUTH_SECRET: SECRET, DATABASE_URL: database.url }
    Object.assign(process.env, configuration)
    try {
      expect((await explainSession(whole(forge()))).reason).toBe('live')
      await defaultBridge().close()
    } finally {
      for (const name of Object.keys(configuration)) delete process.env[name]
    }
  })
})

test('the explanation contains no secret, token, e-mail address or name', async () => {
  const marks = { email: 'mark@example.com', name: 'Mark Marker', proToken: 'mark-pro', image: 'https://mark.example' }
  const options: AuthBridgeOptions = { secret: [SECRET, OTHER_SECRET], databaseUrl: database.url }
  const marked = new AuthBridge(options)
  const shown: string[] = []
  for (const change of [
    nothing,
    { exp: 1 },
    { exp: 'mark' },
    { nbf: EXP },
    { tenant: 'mark' },
    { id: 'mark' },
    { user_type: 'mark' },
  ]) {
    const token = forge(claims({ ...marks, ...change }))
    for (const header of [
      whole(token),
      `mark=mark; ${whole(`${token}mark`)}`,
      `${COOKIE_NAME}.0=${token}; mark=mark`,
    ]) {
      const explanation = JSON.stringify(await marked.explainSession(header))
      // An explanation may show the first 8 characters of a `kid`.
      for (const part of token.split('.')) if (part) expect(explanation).not.toContain(part.slice(-20))
      shown.push(explanation)
    }
  }
  shown.push(JSON.stringify(await marked.explainSession(whole(forge(claims(), { kid: `<mark>${'mark@'.repeat(9)}` })))))
  await marked.close()
  const text = shown.join('\n')
  for (const secret of ['mark', 'Mark', SECRET, OTHER_SECRET]) expect(text).not.toContain(secret)
})

test('the tests of this file reach every reason', () => {
  const reached = [...live, ...absent, ...undecryptable, ...badClaims, ...byDatabase].map(({ reason }) => reason)
  expect(new Set([...reached, 'database-unavailable'])).toEqual(new Set(reasons))
})
