// `refreshSession` and `updateSession` on real PostgreSQL, with tokens of the real Auth.js.

import { randomUUID } from 'node:crypto'
import { decode } from '@auth/core/jwt'
import { decode as decode4, encode as encode4 } from 'next-auth-4/jwt'
import { beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { AuthBridge, AuthBridgeOptions, ClaimChanges, RefreshedSession, RefreshOptions } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { mintCookie, COOKIE_NAME as NAME } from './support/cookies.mjs'
import { inOneBatch, useDatabase } from './support/database.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const V4 = 'next-auth.session-token'
const SECURE = `__Secure-${NAME}`
const DAY = 86_400
const CONTROL = 'ERR_AUTH_BRIDGE_ARGUMENT'

const database = useDatabase()
const open = useBridges()
const connect = (options: AuthBridgeOptions = {}) => open(database.url, { secureCookie: false, ...options })

type Columns = Parameters<typeof createSession>[2] & { last_activity_at?: Date; created_at?: Date }

let user: Awaited<ReturnType<typeof createUser>>
beforeAll(async () => {
  user = await createUser(database.client)
})

const now = () => Math.floor(Date.now() / 1000)
const ago = (seconds: number) => new Date(Date.now() - seconds * 1000)
const ahead = (seconds: number) => ago(-seconds)

/** A row that was active an hour ago and ends in a day, and the claims of its token. */
async function start(columns: Columns = {}, more: Record<string, unknown> = {}) {
  const usual = { expires_at: ahead(DAY), last_activity_at: ago(3600) }
  const session = await createSession(database.client, user, { ...usual, ...columns })
  return { ...session, claims: claimsOf(user, session, more) }
}
type Started = Awaited<ReturnType<typeof start>>

const cookieOf = ({ claims }: Pick<Started, 'claims'>, options: { name?: string; maxAge?: number } = {}) =>
  mintCookie(claims, { secret: SECRET, ...options })

async function row({ session_id }: { session_id: string }) {
  const { rows } = await database.client.query('SELECT * FROM sessions WHERE session_id = $1', [session_id])
  return rows[0]
}

/** The seconds from now until a time. */
const left = (time: Date | number) => Math.round(Number(time) / (time instanceof Date ? 1000 : 1) - Date.now() / 1000)

const claimsIn = (line: string, name = NAME) =>
  decode({ token: line.slice(name.length + 1).split(';')[0], secret: SECRET, salt: name })

/** The claims of a result that sets one whole cookie. */
async function issued(result: { setCookie: string[] }, name = NAME) {
  expect(result.setCookie).toHaveLength(1)
  const claims = await claimsIn(result.setCookie[0] ?? '', name)
  if (!claims) throw new Error('nothing was issued')
  return claims
}

describe('a token that is due', () => {
  test('gets a row that lives on, and a new token with the same claims', async () => {
    const session = await start({}, { plan: 'pro', own: { deep: [1, '\u2028'] } })
    const cookie = await cookieOf(session, { maxAge: DAY })
    const bridge = connect()
    const result = await bridge.refreshSession(`theme=dark; ${cookie}; b=1`)

    const { iat, exp, jti, rolled_at, ...claims } = await issued(result)
    expect(claims).toEqual(session.claims)
    expect(left(Number(exp))).toBeCloseTo(DAY, -1)
    expect(iat).toBeCloseTo(now(), -1)
    expect(rolled_at).toBe(iat)
    expect(jti).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)

    const slid = await row(session)
    expect(left(slid.expires_at)).toBeCloseTo(DAY, -1)
    for (const column of ['last_activity_at', 'updated_at']) expect(left(slid[column])).toBeCloseTo(0, -1)

    const value = (result.setCookie[0] ?? '').split(';')[0]
    expect(result.cookieHeader).toBe(`theme=dark; ${value}; b=1`)
    expect(result.session).toEqual(await bridge.getSession(result.cookieHeader))
    expect(result.session.user?.plan).toBe('pro')
    expect(bridge.stats().rolls).toEqual({ issued: 1, held: 0, refused: 0, tooLarge: 0 })
  })

  test('is not due again', async () => {
    const bridge = connect()
    const session = await start()
    const { cookieHeader } = await bridge.refreshSession(await cookieOf(session))
    const before = await row(session)
    const again = await bridge.refreshSession(cookieHeader)
    expect(again).toEqual({ session: await bridge.getSession(cookieHeader), setCookie: [], cookieHeader })
    expect(await row(session)).toEqual(before)
  })

  test.each<[string, number | undefined, unknown, boolean]>([
    ['never rolled', undefined, undefined, true],
    ['rolled just now', undefined, 0, false],
    ['rolled long ago', undefined, -301, true],
    ['rolled a while ago', undefined, -200, false],
    ['rolled in the future', undefined, 60, true],
    ['rolled by another clock', undefined, 10, false],
    ['not a number', undefined, 'soon', true],
    ['updateAge 0: at each call', 0, 0, true],
    ['a short updateAge', 10, -11, true],
    ['a long updateAge', DAY, -600, false],
  ])('%s', async (_, updateAge, rolledAt, isDue) => {
    const rolled_at = typeof rolledAt === 'number' ? now() + rolledAt : rolledAt
    const session = await start({}, { rolled_at })
    const bridge = connect(updateAge === undefined ? {} : { updateAge })
    const { setCookie } = await bridge.refreshSession(await cookieOf(session, { maxAge: 3 * DAY }))
    expect(setCookie.length).toBe(isDue ? 1 : 0)
  })

  test.each<[string, AuthBridgeOptions, () => Columns, number, number, number | null]>([
    ['the token is shorter', {}, () => ({ expires_at: ahead(DAY), last_activity_at: ago(DAY) }), 3600, 3600, 3600],
    ['the row is shorter', {}, () => ({ expires_at: ahead(600), last_activity_at: ago(1200) }), DAY, 1800, 1800],
    [
      'maxAge',
      { maxAge: 7200 },
      () => ({ expires_at: ahead(60), last_activity_at: ago(60) }),
      ...([DAY, 7200, 7200] as const),
    ],
    ['a row without an end', {}, () => ({ expires_at: null }), 3600, 3600, null],
    ['a row that was never active', {}, () => ({ last_activity_at: undefined }), 3600, 3600, 3600],
    ['400 days', { maxAge: 400 * DAY }, () => ({}), DAY, 400 * DAY, 400 * DAY],
    ['the absolute limit', { absoluteMaxAge: DAY }, () => ({ created_at: ago(DAY - 100) }), 3600, 100, 100],
    ['the absolute limit is far', { absoluteMaxAge: DAY }, () => ({}), 3600, 3600, 3600],
  ])('its lifetime: %s', async (_, options, columns, maxAge, ofToken, ofRow) => {
    const session = await start(columns())
    const result = await connect(options).refreshSession(await cookieOf(session, { maxAge }))
    const { exp } = await issued(result)
    expect(Math.abs(left(Number(exp)) - ofToken)).toBeLessThanOrEqual(3)
    const { expires_at } = await row(session)
    if (ofRow === null) expect(expires_at).toBeNull()
    else expect(Math.abs(left(expires_at) - ofRow)).toBeLessThanOrEqual(3)
    const expires = new Date(Number(exp) * 1000).toUTCString()
    expect(result.setCookie[0]).toContain(`; Expires=${expires}; `)
  })

  test("a row that ends in infinity stays so, and its token's lifetime is the token's own", async () => {
    const session = await start()
    await database.client.query(`UPDATE sessions SET expires_at = 'infinity' WHERE session_id = $1`, [
      session.session_id,
    ])
    const { exp } = await issued(await connect().refreshSession(await cookieOf(session, { maxAge: 3600 })))
    expect(left(Number(exp))).toBeCloseTo(3600, -1)
    expect((await row(session)).expires_at).toBe(Number.POSITIVE_INFINITY)
  })

  test('with ignoreExpiresAt only the activity is written', async () => {
    const session = await start({ expires_at: ago(60) })
    const bridge = connect({ ignoreExpiresAt: true })
    const result = await bridge.refreshSession(await cookieOf(session, { maxAge: 3600 }))
    expect(result.session.session_id).toBe(session.session_id)
    const { expires_at, last_activity_at } = await row(session)
    expect(left(expires_at)).toBeLessThan(-55)
    expect(left(last_activity_at)).toBeCloseTo(0, -1)
    expect(left(Number((await issued(result)).exp))).toBeCloseTo(3600, -1)
  })
})

describe('the lines', () => {
  const big = () => start({}, { own: 'x'.repeat(6000) })

  test('a long token comes in chunks, and what is left of the old one is deleted', async () => {
    const session = await big()
    const whole = await cookieOf(session)
    const { setCookie, cookieHeader, session: read } = await connect().refreshSession(whole)
    const names = setCookie.map((line) => line.slice(0, line.indexOf('=')))
    expect(names).toEqual([NAME, `${NAME}.0`, `${NAME}.1`, `${NAME}.2`])
    expect(setCookie[0]).toBe(`${NAME}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax`)
    expect(setCookie[1]?.split(/[=;]/)[1]).toHaveLength(3936)
    expect(read).toEqual(await connect().getSession(cookieHeader))
    expect(read.session_id).toBe(session.session_id)

    const small = await start()
    const stale = setCookie.slice(1).map((line) => line.split(';')[0])
    const mixed = [...stale, await cookieOf(small), `${NAME}.3000=other`].join('; ')
    const again = await connect().refreshSession(mixed)
    expect(again.cookieHeader.split('; ').map((cookie) => cookie.split('=')[0])).toEqual([NAME, `${NAME}.3000`])
    const deleted = again.setCookie.filter((line) => line.includes('Max-Age=0'))
    expect(deleted.map((line) => line.split('=')[0])).toEqual([`${NAME}.0`, `${NAME}.1`, `${NAME}.2`])
  })

  test.each<[string, AuthBridgeOptions, string]>([
    ['of the environment of a test', {}, 'Path=/; Expires=*; HttpOnly; SameSite=Lax'],
    ['secure', { cookie: { secure: true } }, 'Path=/; Expires=*; HttpOnly; Secure; SameSite=Lax'],
    [
      'all',
      { cookie: { domain: 'a.example', path: '/app', sameSite: 'none', secure: true, partitioned: true } },
      'Domain=a.example; Path=/app; Expires=*; HttpOnly; Secure; Partitioned; SameSite=None',
    ],
  ])('attributes: %s', async (_, options, expected) => {
    const { setCookie } = await connect(options).refreshSession(await cookieOf(await start()))
    const attributes = setCookie[0]?.slice(setCookie[0].indexOf('; ') + 2)
    expect(attributes?.replace(/Expires=[^;]*/, 'Expires=*')).toBe(expected)
  })

  test('a __Secure- cookie is always secure, and next-auth 4 gets its own form', async () => {
    const session = await start()
    const secure = await connect({ secureCookie: true }).refreshSession(await cookieOf(session, { name: SECURE }))
    expect(secure.setCookie[0]).toMatch(/; Secure; /)
    await issued(secure, SECURE)

    const v4 = `${V4}=${await encode4({ token: session.claims, secret: SECRET })}`
    const { cookieName, ...options }: AuthBridgeOptions = { cookieName: V4 }
    const result = await open(database.url, { ...options, cookieName }).refreshSession(v4)
    const token = result.setCookie[0]?.slice(V4.length + 1).split(';')[0]
    expect(JSON.parse(Buffer.from(token?.split('.')[0] ?? '', 'base64url').toString())).toEqual({
      alg: 'dir',
      enc: 'A256GCM',
    })
    expect(await decode4({ token, secret: SECRET })).toMatchObject(session.claims)
  })

  test('a token that was sealed with an older secret is sealed with the newest', async () => {
    const session = await start()
    const bridge = connect({ secret: ['the newest secret of 32 characters', SECRET] })
    const { setCookie } = await bridge.refreshSession(await cookieOf(session))
    const token = setCookie[0]?.slice(NAME.length + 1).split(';')[0]
    const claims = await decode({ token, secret: 'the newest secret of 32 characters', salt: NAME })
    expect(claims).toMatchObject(session.claims)
  })

  test('migrateCookies moves a session at once, due or not, and deletes the other cookie', async () => {
    const session = await start({}, { rolled_at: now() })
    const v4 = `${V4}=${await encode4({ token: session.claims, secret: SECRET })}`
    const bridge = open(database.url, { cookieName: [NAME, V4], migrateCookies: true })
    const { setCookie, cookieHeader, session: read } = await bridge.refreshSession(`a=1; ${v4}`)
    expect(setCookie.map((line) => line.slice(0, line.indexOf('=')))).toEqual([NAME, V4])
    expect(await claimsIn(setCookie[0] ?? '')).toMatchObject({ session_id: session.session_id })
    expect(setCookie[1]).toMatch(/=; Max-Age=0; /)
    expect(cookieHeader).not.toContain(V4)
    expect(read.session_id).toBe(session.session_id)
    expect((await bridge.refreshSession(cookieHeader)).setCookie).toEqual([])
    const stays = open(database.url, { cookieName: [NAME, V4] })
    expect((await stays.refreshSession(v4)).setCookie).toEqual([])
  })
})

describe('what has surely ended is deleted, and nothing else', () => {
  const expired = async () => cookieOf(await start(), { maxAge: -60 })
  test.each<[string, () => Promise<string>, AuthBridgeOptions, boolean]>([
    ['revoked', async () => cookieOf(await start({ revoked_at: new Date() })), {}, true],
    ['an expired row', async () => cookieOf(await start({ expires_at: ago(1) })), {}, true],
    [
      'an expired row that is ignored',
      async () => cookieOf(await start({ expires_at: ago(1) }, { rolled_at: now() })),
      { ignoreExpiresAt: true },
      false,
    ],
    ['too old', async () => cookieOf(await start({ created_at: ago(100) })), { absoluteMaxAge: 99 }, true],
    ['an expired token', expired, {}, true],
    [
      'an unknown row',
      async () => cookieOf({ claims: claimsOf(user, { session_id: randomUUID(), login_method: 'x' }) }),
      {},
      false,
    ],
    ['another user', async () => cookieOf({ claims: { ...(await start()).claims, id: randomUUID() } }), {}, false],
    ['another type', async () => cookieOf({ claims: { ...(await start()).claims, user_type: 'client' } }), {}, false],
    [
      'another secret',
      async () => mintCookie((await start()).claims, { secret: 'another secret of 32 characters!' }),
      {},
      false,
    ],
    ['garbage', async () => `${NAME}=garbage`, {}, false],
    ['no cookie', async () => 'a=1', {}, false],
    [
      "revoked beside one that can't be opened",
      async () => `${await cookieOf(await start({ revoked_at: new Date() }))}; ${NAME}=garbage`,
      {},
      false,
    ],
    [
      'revoked beside an expired token',
      async () => `${await cookieOf(await start({ revoked_at: new Date() }))}; ${await expired()}`,
      {},
      true,
    ],
    [
      'revoked beside an unknown one',
      async () =>
        `${await cookieOf(await start({ revoked_at: new Date() }))}; ${await cookieOf({ claims: claimsOf(user, { session_id: randomUUID(), login_method: 'x' }) })}`,
      {},
      false,
    ],
    [
      'two that are revoked',
      async () =>
        `${await cookieOf(await start({ revoked_at: new Date() }))}; ${await cookieOf(await start({ revoked_at: new Date() }))}`,
      {},
      true,
    ],
  ])('%s', async (_, make, options, isDeleted) => {
    const header = `a=1; ${await make()}`.replace('a=1; a=1', 'a=1')
    const result = await connect(options).refreshSession(header)
    if (options.ignoreExpiresAt) expect(result.session.session_id).toBeDefined()
    else expect(result.session).toEqual({})
    expect(result.setCookie).toEqual(isDeleted ? [`${NAME}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax`] : [])
    expect(result.cookieHeader).toBe(isDeleted ? 'a=1' : header)
  })

  test('beside one of the same name that lives, which is issued anew', async () => {
    const live = await start()
    const header = `${await cookieOf(await start({ revoked_at: new Date() }))}; ${await cookieOf(live)}`
    const result = await connect().refreshSession(header)
    expect((await issued(result)).session_id).toBe(live.session_id)
    expect(result.session.session_id).toBe(live.session_id)
  })

  test('under another name, beside one that lives', async () => {
    const revoked = await start({ revoked_at: new Date() })
    const live = await start({}, { rolled_at: now() })
    const bridge = open(database.url, { cookieName: [NAME, V4] })
    const v4 = `${V4}=${await encode4({ token: { ...live.claims, iat: now() - 10 }, secret: SECRET })}`
    const result = await bridge.refreshSession(`${await cookieOf(revoked)}; ${v4}`)
    expect(result.setCookie).toEqual([`${NAME}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax`])
    expect(result.cookieHeader).toBe(v4)
    expect(result.session.session_id).toBe(live.session_id)
  })
})

describe('claims', () => {
  let session: Started
  let cookie: string
  beforeEach(async () => {
    session = await start({}, { plan: 'free', addons: ['a'], own: 1 })
    cookie = await cookieOf(session)
  })

  test.each<[string, RefreshOptions['claims']]>([
    ['an object', { plan: 'pro', addons: null, more: { a: [1] } }],
    ['a function', () => ({ plan: 'pro', addons: null, more: { a: [1] } })],
    ['an async function', async () => ({ plan: 'pro', addons: null, more: { a: [1] } })],
  ])('%s changes the token that is issued', async (_, claims) => {
    const result = await connect().refreshSession(cookie, { claims })
    const { addons, ...others } = session.claims as Record<string, unknown>
    const token = await issued(result)
    expect(token).toMatchObject({ ...others, plan: 'pro', more: { a: [1] } })
    expect(token).not.toHaveProperty('addons')
    expect(addons).toEqual(['a'])
    expect(result.session.user).toMatchObject({ plan: 'pro', addons: [] })
  })

  test('a function gets the session, and is called only when a token is issued', async () => {
    const bridge = connect()
    const claims = vi.fn(() => ({}))
    const { cookieHeader } = await bridge.refreshSession(cookie, { claims })
    expect(claims.mock.calls).toEqual([[await bridge.getSession(cookie)]])
    await bridge.refreshSession(cookieHeader, { claims })
    await bridge.refreshSession(await cookieOf(await start({ revoked_at: new Date() })), { claims })
    expect(claims).toHaveBeenCalledTimes(1)
  })

  test.each([
    ...['session_id', 'tenant', 'id', 'sub', 'user_type', 'iss', 'aud', 'exp', 'iat', 'nbf', 'jti', 'rolled_at'].map(
      (name): [string, unknown, string] => [name, { plan: 'pro', [name]: 'x' }, `claims.${name}: can't be changed`],
    ),
    ['undefined', { plan: undefined }, 'claims.plan: is undefined; null removes a claim'],
    ['a function as a claim', { plan() {} }, 'claims.plan: is function; null removes a claim'],
    ['an array', [], 'claims: must be an object of claims, not an array'],
    ['a text', 'plan', 'claims: must be an object of claims, not string'],
    ['null', null, 'claims: must be an object of claims, not null'],
    ['no claims', undefined, 'claims: must be an object of claims, not undefined'],
    ['what JSON can not hold', { plan: 1n }, "claims: can't be read as JSON"],
  ])('what is refused: %s', async (_, claims, message) => {
    const bridge = connect()
    const changes = claims as ClaimChanges
    for (const call of [
      () => bridge.updateSession(cookie, changes),
      () => bridge.refreshSession(cookie, { claims: changes }),
      () => bridge.refreshSession(cookie, { claims: async () => changes }),
    ]) {
      const error = await call().then(
        () => undefined,
        (error) => error,
      )
      expect(error).toMatchObject({ code: CONTROL })
      expect(error.message).toContain(message)
    }
    expect(bridge.stats().rolls.issued).toBe(0)
  })

  test('a function that throws: nothing is issued, and its message is not shown', async () => {
    const bridge = connect()
    for (const claims of [
      () => {
        throw new TypeError('a secret')
      },
      async () => Promise.reject(new TypeError('a secret')),
    ]) {
      await expect(bridge.refreshSession(cookie, { claims })).rejects.toMatchObject({
        code: CONTROL,
        message: 'claims: the function failed, and nothing was issued: TypeError',
      })
    }
  })

  test('a function counts towards callTimeout', async () => {
    const bridge = connect({ callTimeout: 300 })
    const claims = () => new Promise<ClaimChanges>(() => {})
    await expect(bridge.refreshSession(cookie, { claims })).rejects.toMatchObject({
      code: 'ERR_AUTH_BRIDGE_TIMEOUT',
      message: 'the session check took longer than 300 ms',
    })
  })

  test('a token that would grow too long: an update rejects, a roll keeps the old one', async () => {
    const bridge = connect()
    const claims = { own: 'x'.repeat(33_000) }
    await expect(bridge.updateSession(cookie, claims)).rejects.toMatchObject({
      code: CONTROL,
      message: 'claims: would make the token longer than 32768 bytes, which is the limit',
    })
    const result = await bridge.refreshSession(cookie, { claims })
    expect(result).toEqual({ session: await bridge.getSession(cookie), setCookie: [], cookieHeader: cookie })
    expect(bridge.stats().rolls.tooLarge).toBe(1)
  })

  test.each<[string, unknown, string]>([
    ['null', null, 'options: must be an object with the key claims, not null'],
    ['a text', 'x', 'options: must be an object with the key claims, not string'],
    [
      'keys that can not be read',
      new Proxy({}, { ownKeys: () => expect.fail('the app throws') }),
      "options: can't be read",
    ],
    ['another key', { claim: {} }, 'claim: is not a key of these options; the key is claims'],
  ])('options: %s', async (_, options, message) => {
    await expect(connect().refreshSession(cookie, options as RefreshOptions)).rejects.toMatchObject({
      code: CONTROL,
      message,
    })
  })

  test('cookieHeader of another type', async () => {
    const call = connect().refreshSession as unknown as (header: unknown) => Promise<unknown>
    await expect(call.call(connect(), 7)).rejects.toMatchObject({
      code: CONTROL,
      message: 'cookieHeader: must be the value of the Cookie header: a string, null or undefined, not number',
    })
  })
})

describe('updateSession', () => {
  test('issues a token at once, due or not', async () => {
    const session = await start({}, { rolled_at: now() })
    const bridge = connect()
    const result = await bridge.updateSession(await cookieOf(session), { plan: 'pro' })
    expect(result.updated).toBe(true)
    expect((await issued(result)).plan).toBe('pro')
    expect(result.session).toEqual(await bridge.getSession(result.cookieHeader))
    expect(left((await row(session)).last_activity_at)).toBeCloseTo(0, -1)
  })

  test.each<[string, () => Promise<string>, number]>([
    ['a revoked session', async () => cookieOf(await start({ revoked_at: new Date() })), 1],
    ['no cookie', async () => 'a=1', 0],
    ['garbage', async () => `${NAME}=x`, 0],
  ])('updates nothing: %s', async (_, make, lines) => {
    const result = await connect().updateSession(await make(), { plan: 'pro' })
    expect(result).toMatchObject({ updated: false, session: {} })
    expect(result.setCookie).toHaveLength(lines)
  })

  test('where the row is held by another transaction, with the old times', async () => {
    const session = await start()
    const cookie = await cookieOf(session)
    const before = await claimsIn(cookie)
    await database.client.query('BEGIN')
    try {
      await database.client.query('SELECT FROM sessions WHERE session_id = $1 FOR UPDATE', [session.session_id])
      const bridge = connect()
      const kept = await bridge.refreshSession(cookie)
      expect(kept).toEqual({ session: await bridge.getSession(cookie), setCookie: [], cookieHeader: cookie })
      const result = await bridge.updateSession(cookie, { plan: 'pro' })
      expect(result.updated).toBe(true)
      const { plan, jti, ...claims } = await issued(result)
      const { jti: oldJti, ...old } = before ?? {}
      expect(plan).toBe('pro')
      expect(claims).toEqual(old)
      expect(jti).not.toBe(oldJti)
      expect(bridge.stats().rolls).toMatchObject({ issued: 1, held: 2 })
    } finally {
      await database.client.query('ROLLBACK')
    }
  })
})

test('where nobody looks at the session, nothing is asked unless it is due', async () => {
  const bridge = connect()
  const session = await start()
  const onlyIfDue = (cookie: string) =>
    // As `next/proxy.js` calls it.
    (bridge.refreshSession as (...args: unknown[]) => Promise<RefreshedSession>)(cookie, undefined, 'only if due')
  const { setCookie, cookieHeader } = await onlyIfDue(await cookieOf(session))
  expect(setCookie).toHaveLength(1)
  const before = bridge.stats()
  const nothing = { session: {}, setCookie: [], cookieHeader }
  expect(await onlyIfDue(cookieHeader)).toEqual(nothing)
  await database.client.query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [session.session_id])
  expect(await onlyIfDue(cookieHeader)).toEqual(nothing)
  expect(bridge.stats()).toEqual({ ...before, pool: expect.anything() })
  expect(await bridge.refreshSession(cookieHeader)).toMatchObject({ session: {}, setCookie: [expect.anything()] })
})

test('many due calls of several sessions share a query', async () => {
  const bridge = connect({ maxConnections: 1 })
  const sessions = await Promise.all(Array.from({ length: 20 }, () => start()))
  const revoked = await start({ revoked_at: new Date() })
  const due = [await start(), ...sessions, ...sessions]
  const cookies = await Promise.all([...due, revoked].map((session) => cookieOf(session)))
  const results = await inOneBatch(database.client, cookies, (cookie) => bridge.refreshSession(cookie))
  expect(bridge.stats().rolls).toEqual({ issued: 41, held: 0, refused: 0, tooLarge: 0 })
  const ids = await Promise.all(results.slice(0, 41).map(async (result) => (await issued(result)).session_id))
  expect(ids).toEqual(due.map((session) => session.session_id))
  expect(results[41]?.session).toEqual({})
  expect(bridge.stats().batches.max).toBe(21)
})

test('a cookie that was issued before a sign-out', async () => {
  const bridge = connect({ updateAge: 0 })
  const session = await start()
  const cookie = await cookieOf(session)
  const { cookieHeader } = await bridge.refreshSession(cookie)
  await database.client.query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [session.session_id])
  for (const header of [cookie, cookieHeader]) {
    const { session, setCookie } = await bridge.refreshSession(header)
    expect({ session, setCookie }).toEqual({ session: {}, setCookie: [expect.stringContaining('Max-Age=0')] })
  }
})

test('an outage changes no cookie', async () => {
  const bridge = open('postgres://nobody@127.0.0.1:1/nothing', { secureCookie: false })
  const cookie = await cookieOf(await start())
  await expect(bridge.refreshSession(cookie)).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_DATABASE' })
  await expect(bridge.updateSession(cookie, {})).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_DATABASE' })
})

describe('absoluteMaxAge', () => {
  test('counts in every read', async () => {
    const session = await start({ created_at: ago(100) })
    const cookie = await cookieOf(session)
    const strict: AuthBridge = connect({ absoluteMaxAge: 99 })
    expect(await strict.getSession(cookie)).toEqual({})
    expect(await strict.explainSession(cookie)).toMatchObject({ status: 'unauthenticated', reason: 'session-too-old' })
    expect(strict.stats().reasons['session-too-old']).toBe(1)
    expect((await connect({ absoluteMaxAge: 110 }).getSession(cookie)).session_id).toBe(session.session_id)
  })
})
