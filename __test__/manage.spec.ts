// Starting, listing and ending sessions on real PostgreSQL.

import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { AuthBridge, AuthBridgeOptions, NewSession } from '../index.js'
import * as authBridge from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { COOKIE_NAME, mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { claimsOf, createUser } from './support/tenants.mjs'

const DAY = 86_400
const CHROME =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36'
const ARGUMENT = 'ERR_AUTH_BRIDGE_ARGUMENT'

const database = useDatabase()
const open = useBridges()
const connect = (options: AuthBridgeOptions = {}) => open(database.url, { secureCookie: false, ...options })

let user: Awaited<ReturnType<typeof createUser>>
let owner: { tenant: string; userId: string }
let bridge: AuthBridge
beforeEach(async () => {
  user = await createUser(database.client)
  owner = { tenant: user.tenant, userId: user.user_id }
  bridge = connect()
})

const rowsOf = async ({ tenant }: { tenant: string }) =>
  (await database.client.query('SELECT * FROM sessions WHERE tenant = $1 ORDER BY created_at', [tenant])).rows
const row = async (sessionId: string) =>
  (await database.client.query('SELECT * FROM sessions WHERE session_id = $1', [sessionId])).rows[0]
const set = (sessionId: string, change: string) =>
  database.client.query(`UPDATE sessions SET ${change} WHERE session_id = $1`, [sessionId])
const start = async (more: Partial<NewSession> = {}, by = bridge) =>
  (await by.createSession({ ...owner, ...more })).sessionId
const left = (time: string | Date | null) => Math.round((Number(new Date(time ?? 0)) - Date.now()) / 1000)
const rejects = (call: Promise<unknown>, code: string, message: string) =>
  expect(call).rejects.toMatchObject({ code, message: expect.stringContaining(message) })

describe('createSession', () => {
  test('inserts a row that the session of its token is read from', async () => {
    const { sessionId, expiresAt } = await bridge.createSession({
      ...owner,
      loginMethod: 'google',
      maxAge: DAY,
      ipAddress: '192.0.2.7',
      userAgent: CHROME,
      columns: { device_fingerprint: 'f', location_data: { city: "O'Hare", at: [1, 2] } },
    })
    expect(await row(sessionId)).toEqual({
      tenant: user.tenant,
      session_id: sessionId,
      user_id: user.user_id,
      login_method: 'google',
      expires_at: new Date(expiresAt),
      revoked_at: null,
      revoked_reason: null,
      ip_address: '192.0.2.7',
      user_agent: CHROME,
      device_fingerprint: 'f',
      device_name: 'Chrome on macOS',
      device_type: 'desktop',
      location_data: { city: "O'Hare", at: [1, 2] },
      last_activity_at: expect.any(Date),
      created_at: expect.any(Date),
      updated_at: expect.any(Date),
    })
    expect(left(expiresAt)).toBeCloseTo(DAY, -1)
    const cookie = await mintCookie(claimsOf(user, { session_id: sessionId, login_method: 'google' }), {
      secret: SECRET,
    })
    expect(await bridge.getSession(cookie)).toMatchObject({ session_id: sessionId, login_method: 'google' })
    expect(bridge.stats().sessions).toEqual({ created: 1, revoked: 0, deleted: 0 })
  })

  test.each<[string, AuthBridgeOptions, Partial<NewSession>, number]>([
    ['30 days by default', {}, {}, 30 * DAY],
    ['the option maxAge', { maxAge: 3600 }, {}, 3600],
    ['its own maxAge', { maxAge: 3600 }, { maxAge: 60 }, 60],
    ['no longer than the absolute limit', { absoluteMaxAge: 600 }, { maxAge: DAY }, 600],
  ])('lives for %s', async (_, options, more, expected) => {
    const created = await connect(options).createSession({ ...owner, ...more })
    expect(left(created.expiresAt)).toBeCloseTo(expected, -1)
    expect(left((await row(created.sessionId)).expires_at)).toBeCloseTo(expected, -1)
  })

  test('writes no end with ignoreExpiresAt', async () => {
    const { sessionId, expiresAt } = await connect({ ignoreExpiresAt: true }).createSession(owner)
    expect((await row(sessionId)).expires_at).toBeNull()
    expect(left(expiresAt)).toBeCloseTo(30 * DAY, -1)
  })

  test.each<[string, Record<string, unknown> | undefined, string]>([
    ['no options', undefined, 'options: must be an object, not undefined'],
    ['no user', { userId: undefined }, 'userId: is undefined; give it a value, or leave it out'],
    ['null', { tenant: null }, 'tenant: is null'],
    ['a user that the column can not hold', { userId: 'x' }, 'userId: is no id that the column user_id'],
    ['a tenant that the column can not hold', { tenant: 7 }, 'tenant: is no id that the column tenant'],
    ['an empty id', { userId: '' }, 'userId: must be a text of 1 to 1024 bytes'],
    ['a list', { userId: ['1'] }, 'userId: must be an id: a string or a whole number, not object'],
    ['a fraction', { userId: 1.5 }, 'userId: must be a whole number'],
    ['an unknown key', { user: 'x' }, 'user: is not an option'],
    ['a maxAge of 0', { maxAge: 0 }, 'maxAge: must be a whole number of seconds from 1 to 34560000'],
    ['maxSessions 0', { maxSessions: 0 }, 'maxSessions: must be at least 1'],
    ['whenFull alone', { whenFull: 'refuse' }, 'whenFull: needs maxSessions'],
    ['another whenFull', { maxSessions: 1, whenFull: 'no' }, 'whenFull: must be "revoke-oldest" or "refuse"'],
    ['columns of its own', { columns: { user_id: 'x' } }, "columns.user_id: can't be set here: the option userId"],
    ['columns that are no object', { columns: ['a'] }, 'columns: must be an object'],
    ['a column without a value', { columns: { device_name: undefined } }, 'columns.device_name: is undefined'],
    [
      'a column that there is not',
      { columns: { nope: 1 } },
      'columns: column "nope" of relation "sessions" does not exist',
    ],
    [
      'a value that does not fit',
      { columns: { updated_at: 'soon' } },
      "doesn't fit the type of its column (SQLSTATE 22007)",
    ],
  ])('refuses %s', async (_, change, message) => {
    const options = change && { ...owner, ...change }
    await rejects(bridge.createSession(options as unknown as NewSession), ARGUMENT, message)
    expect(await rowsOf(user)).toEqual([])
  })

  test('a message does not quote a value', async () => {
    const call = bridge.createSession({ ...owner, columns: { updated_at: 'hunter2' } })
    await expect(call).rejects.not.toMatchObject({ message: expect.stringContaining('hunter2') })
  })

  test('what the request says never fails it', async () => {
    const userAgent = `${'\0'.repeat(3)}${'é'.repeat(5000)}`
    const session = await row(await start({ userAgent, ipAddress: '\0' }))
    expect(session).toMatchObject({ user_agent: 'é'.repeat(1024), ip_address: null, device_name: null })
  })
})

describe('maxSessions', () => {
  test('ends those that were not active for longest', async () => {
    const sessions = [await start(), await start(), await start()] as const
    await set(sessions[0], "last_activity_at = now() + interval '1 minute'")
    const fourth = await start({ maxSessions: 2 })
    expect((await bridge.listSessions(owner)).map(({ sessionId }) => sessionId).toSorted()).toEqual(
      [sessions[0], fourth].toSorted(),
    )
    expect(await row(sessions[1])).toMatchObject({ revoked_at: expect.any(Date), revoked_reason: 'max_sessions' })
    expect(bridge.stats().sessions).toEqual({ created: 4, revoked: 2, deleted: 0 })
  })

  test('refuses one more', async () => {
    await start()
    const second = await start()
    const third = () => start({ maxSessions: 2, whenFull: 'refuse' })
    await rejects(third(), 'ERR_AUTH_BRIDGE_TOO_MANY_SESSIONS', 'the user has 2 sessions')
    expect(await rowsOf(user)).toHaveLength(2)
    await bridge.revokeSession({ ...owner, sessionId: second })
    await third()
  })

  test('counts only live sessions of this user', async () => {
    const other = { ...owner, userId: (await createUser(database.client, { tenant: owner.tenant })).user_id }
    await bridge.createSession(other)
    await set(await start(), "expires_at = now() - interval '1 second'")
    await set(await start(), 'revoked_at = now()')
    await start({ maxSessions: 1, whenFull: 'refuse' })
    await rejects(start({ maxSessions: 1, whenFull: 'refuse' }), 'ERR_AUTH_BRIDGE_TOO_MANY_SESSIONS', 'maxSessions')
  })

  test.each(['revoke-oldest', 'refuse'] as const)('is exact with %s, whatever signs in at once', async (whenFull) => {
    const bridges = [3, 3, 1, 10].map((maxConnections) => connect({ maxConnections }))
    const calls = Array.from({ length: 60 }, (_, index) => start({ maxSessions: 5, whenFull }, bridges[index % 4]))
    const settled = await Promise.allSettled(calls)
    expect(await bridge.listSessions(owner)).toHaveLength(5)
    const codes = settled.flatMap((call) => (call.status === 'rejected' ? [call.reason.code] : []))
    const expected = whenFull === 'refuse' ? 55 : 0
    expect(codes).toEqual(Array(expected).fill('ERR_AUTH_BRIDGE_TOO_MANY_SESSIONS'))
  })
})

describe('listSessions', () => {
  test('has the live sessions of the user, the latest activity first', async () => {
    const [first, second, third] = [await start({ loginMethod: 'google' }), await start(), await start()] as const
    await set(await start(), 'revoked_at = now()')
    await set(await start(), "expires_at = now() - interval '1 second'")
    await set(first, "last_activity_at = '2100-01-02T03:04:05.678Z', expires_at = NULL")
    await set(third, 'last_activity_at = NULL')
    await set(second, "created_at = now() + interval '1 hour', last_activity_at = NULL")
    const listed = await bridge.listSessions({ ...owner, current: second })
    expect(listed.map(({ sessionId }) => sessionId)).toEqual([first, second, third])
    expect(listed[0]).toEqual({
      sessionId: first,
      loginMethod: 'google',
      ipAddress: null,
      userAgent: null,
      deviceName: null,
      deviceType: null,
      createdAt: (await row(first)).created_at.toISOString(),
      lastActivityAt: '2100-01-02T03:04:05.678Z',
      expiresAt: null,
    })
    expect(listed.map(({ current }) => current)).toEqual([undefined, true, undefined])
  })

  test('is empty for a user who has none, or who can not exist', async () => {
    for (const userId of [randomUUID(), 'x', '']) expect(await bridge.listSessions({ ...owner, userId })).toEqual([])
  })

  test('knows the absolute limit', async () => {
    await set(await start(), "created_at = now() - interval '2 hours'")
    expect(await connect({ absoluteMaxAge: 3600 }).listSessions(owner)).toEqual([])
    expect(await bridge.listSessions(owner)).toHaveLength(1)
  })
})

describe('ending sessions', () => {
  test('revokeSession ends a live session of this user, once', async () => {
    const sessionId = await start()
    const end = (more = {}) => bridge.revokeSession({ ...owner, sessionId, reason: 'lost', ...more })
    expect(await end({ userId: randomUUID() })).toBe(false)
    expect(await end({ tenant: randomUUID() })).toBe(false)
    expect(await end()).toBe(true)
    const ended = await row(sessionId)
    expect(ended).toMatchObject({ revoked_reason: 'lost', revoked_at: expect.any(Date) })
    expect(await end({ reason: 'again' })).toBe(false)
    expect(await row(sessionId)).toEqual(ended)
  })

  test('of anybody with anyUser', async () => {
    const [sessionId, expired] = [await start(), await start()] as const
    await set(expired, "expires_at = now() - interval '1 second'")
    const end = (id: string) => bridge.revokeSession({ tenant: owner.tenant, sessionId: id, anyUser: true })
    expect([await end(sessionId), await end(sessionId), await end(expired)]).toEqual([true, false, false])
    expect((await row(sessionId)).revoked_reason).toBeNull()
  })

  test.each([['x'], [''], ['a\0b'], ['x'.repeat(2000)], [7], [randomUUID()]])(
    'an id of a client that names none: %j',
    async (sessionId) => {
      await start()
      expect(await bridge.revokeSession({ ...owner, sessionId })).toBe(false)
      expect(await bridge.listSessions(owner)).toHaveLength(1)
    },
  )

  test('revokeOtherSessions and revokeSessions say how many', async () => {
    const sessions = [await start(), await start(), await start()]
    const other = await createUser(database.client, { tenant: owner.tenant })
    await bridge.createSession({ ...owner, userId: other.user_id })
    expect(await bridge.revokeOtherSessions({ ...owner, sessionId: sessions[1] ?? '', reason: 'password' })).toBe(2)
    expect((await bridge.listSessions(owner)).map(({ sessionId }) => sessionId)).toEqual([sessions[1]])
    expect(await bridge.revokeSessions({ ...owner, reason: 'left' })).toBe(1)
    expect(await bridge.revokeSessions(owner)).toBe(0)
    expect((await rowsOf(user)).map(({ revoked_reason }) => revoked_reason).toSorted()).toEqual(
      ['left', null, 'password', 'password'].toSorted(),
    )
    expect(await bridge.revokeSessions({ ...owner, userId: 'x' })).toBe(0)
    expect(bridge.stats().sessions).toMatchObject({ created: 4, revoked: 3 })
  })

  test('revokeOtherSessions keeps nothing that it can not name', async () => {
    await start()
    const call = bridge.revokeOtherSessions({ ...owner, sessionId: 'x' })
    await rejects(call, ARGUMENT, 'sessionId: is no id that the column session_id of the sessions can hold')
    expect(await bridge.listSessions(owner)).toHaveLength(1)
  })

  test('revokeTenantSessions ends thousands by a thousand, and no other tenant', async () => {
    // PostgreSQL expects a row for the tenant, so it would run a subselect with a limit again for each of the thousands, which passes
    // over those that the same statement has ended.
    await database.client.query(`
      ALTER TABLE sessions SET (autovacuum_enabled = off);
      INSERT INTO sessions (tenant, session_id, user_id)
        SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid() FROM generate_series(1, 5000);
      ANALYZE sessions`)
    const { tenant, userId } = owner
    await database.client.query(
      `INSERT INTO sessions (tenant, session_id, user_id)
       SELECT $1, gen_random_uuid(), $2 FROM generate_series(1, 2500)`,
      [tenant, userId],
    )
    await database.client.query(`
      CREATE TABLE statements (rows int);
      CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO statements SELECT count(*) FROM changed; RETURN NULL; END';
      CREATE TRIGGER note AFTER UPDATE ON sessions REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note()`)
    onTestFinished(async () => void (await database.client.query('DROP FUNCTION note CASCADE; DROP TABLE statements')))
    const elsewhere = await createUser(database.client)
    const kept = await bridge.createSession({ tenant: elsewhere.tenant, userId: elsewhere.user_id })
    expect(await bridge.revokeTenantSessions({ tenant, reason: 'incident' })).toBe(2500)
    const { rows } = await database.client.query('SELECT rows FROM statements WHERE rows > 0')
    expect(rows.map((each) => each.rows)).toEqual([1000, 1000, 500])
    expect(await bridge.revokeTenantSessions({ tenant })).toBe(0)
    expect((await row(kept.sessionId)).revoked_at).toBeNull()
    expect(new Set((await rowsOf(user)).map(({ revoked_reason }) => revoked_reason))).toEqual(new Set(['incident']))
  })

  test.each<[string, (bridge: AuthBridge) => Promise<unknown>, string]>([
    ['no user', (it) => it.revokeSession({ tenant: 't', sessionId: 's' } as never), 'userId: is missing: whose'],
    [
      'a user and any',
      (it) => it.revokeSession({ ...owner, sessionId: 's', anyUser: true } as never),
      "anyUser: can't",
    ],
    [
      'anyUser false',
      (it) => it.revokeSession({ tenant: 't', sessionId: 's', anyUser: false } as never),
      'must be true',
    ],
    ['undefined', (it) => it.revokeSession({ ...owner, sessionId: undefined } as never), 'sessionId: is undefined'],
    ['no kept session', (it) => it.revokeOtherSessions(owner as never), 'sessionId: is missing'],
    ['another key', (it) => it.revokeSessions({ ...owner, sessionId: 's' } as never), 'sessionId: is not an option'],
    ['no tenant', (it) => it.revokeTenantSessions({} as never), 'tenant: is missing'],
    ['null as the current one', (it) => it.listSessions({ ...owner, current: null } as never), 'current: is null'],
    ['no date', (it) => it.deleteEndedSessions({ before: '2020-01-01' } as never), 'before: must be a valid Date'],
    ['an invalid date', (it) => it.deleteEndedSessions({ before: new Date('x') }), 'before: must be a valid Date'],
    ['a negative limit', (it) => it.deleteEndedSessions({ before: new Date(), limit: -1 }), 'limit: must be a whole'],
  ])('refuses %s', async (_, call, message) => {
    await rejects(call(bridge), ARGUMENT, message)
  })
})

describe('deleteEndedSessions', () => {
  const at = (days: number) => new Date(Date.now() + days * DAY * 1000)

  test('deletes what ended before a time', async () => {
    const long = "created_at = now() - interval '90 days', "
    const cases: [string, boolean][] = [
      [`${long} expires_at = NULL`, false],
      [`${long} expires_at = now() + interval '1 day'`, false],
      [`${long} expires_at = now() - interval '1 day'`, false],
      [`${long} expires_at = now() - interval '40 days'`, true],
      [`${long} revoked_at = now() - interval '40 days'`, true],
      [`${long} revoked_at = now() - interval '20 days'`, false],
      [`${long} expires_at = 'infinity'`, false],
      [`${long} expires_at = now() - interval '40 days', revoked_at = now()`, true],
    ]
    const gone: boolean[] = []
    const sessions: string[] = []
    for (const [change] of cases) {
      const sessionId = await start()
      sessions.push(sessionId)
      await set(sessionId, change)
    }
    expect(await bridge.deleteEndedSessions({ before: at(-30) })).toBe(3)
    for (const sessionId of sessions) gone.push((await row(sessionId)) === undefined)
    expect(gone).toEqual(cases.map(([, expected]) => expected))
    expect(bridge.stats().sessions.deleted).toBe(3)
    expect(await connect({ absoluteMaxAge: 30 * DAY }).deleteEndedSessions({ before: at(-50) })).toBe(5)
  })

  test('of a time in the future, what has ended by now', async () => {
    const [live, expired] = [await start(), await start()] as const
    await set(expired, "expires_at = now() - interval '1 second'")
    await bridge.deleteEndedSessions({ before: at(365) })
    expect([await row(live), await row(expired)]).toEqual([expect.anything(), undefined])
  })

  test('in one pass over a large table, or as many as it is told', async () => {
    await database.client.query(
      `INSERT INTO sessions (tenant, session_id, user_id, expires_at)
       SELECT gen_random_uuid(), gen_random_uuid(), $1, now() - (n % 3) * interval '1 year' + interval '1 day'
       FROM generate_series(1, 5000) n`,
      [owner.userId],
    )
    const before = at(-1)
    expect(await bridge.deleteEndedSessions({ before, limit: 1234 })).toBe(1234)
    expect(await bridge.deleteEndedSessions({ before, limit: 0 })).toBe(0)
    expect(await bridge.deleteEndedSessions({ before })).toBe(3334 - 1234)
    expect(await bridge.deleteEndedSessions({ before })).toBe(0)
  })
})

describe('sealSession', () => {
  const NAMES = { cookieName: ['authjs.session-token', 'next-auth.session-token'] }

  test('makes the cookie of a session, and deletes what the request has beside it', async () => {
    const by = open(database.url, NAMES)
    const claims = claimsOf(user, { session_id: await start(), login_method: 'google' }, { plan: 'pro' })
    const cookieHeader = 'a=1; authjs.session-token.0=x; next-auth.session-token=y; b=2'
    const sealed = await by.sealSession(claims, { cookieHeader, maxAge: DAY })
    expect(sealed.setCookie.map((line) => line.replace(/=[^;]{9,}/, '=token'))).toEqual([
      'authjs.session-token.0=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax',
      expect.stringMatching(/^authjs.session-token=token; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Lax$/),
      'next-auth.session-token=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax',
    ])
    expect(sealed.cookieHeader).toMatch(/^a=1; b=2; authjs\.session-token=ey/)
    const session = await by.getSession(sealed.cookieHeader)
    expect(session).toMatchObject({ session_id: claims.session_id, user: { plan: 'pro' } })
    expect((await by.refreshSession(sealed.cookieHeader)).setCookie).toEqual([])
  })

  test.each<[string, unknown, string]>([
    ['no object', null, 'claims: must be an object of claims, not null'],
    ['an undefined claim', { plan: undefined }, 'claims.plan: is undefined'],
    ['exp', { exp: 1 }, "claims.exp: can't be set"],
    ['jti', { jti: 'x' }, "claims.jti: can't be set"],
    ['no session', { session_id: null }, 'claims.session_id: is missing'],
    ['another type', { user_type: 'admin' }, 'claims.user_type: is missing'],
    ['too much', { plan: 'x'.repeat(33_000) }, 'make the token longer than 32768 bytes'],
  ])('refuses %s', async (_, change, message) => {
    const claims =
      change === null
        ? null
        : { ...claimsOf(user, { session_id: randomUUID(), login_method: 'x' }), ...(change as object) }
    await rejects(bridge.sealSession(claims as never), ARGUMENT, message)
  })
})

describe('the database', () => {
  test('that takes no writes says so', async () => {
    const name = new URL(database.url).pathname.slice(1)
    await database.client.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`)
    const by = connect({ maxLifetime: 60_000 })
    onTestFinished(() => database.client.query(`ALTER DATABASE ${name} RESET default_transaction_read_only`).then())
    await rejects(by.createSession(owner), 'ERR_AUTH_BRIDGE_READ_ONLY', 'let databaseUrl lead to the primary')
    await rejects(by.revokeSessions(owner), 'ERR_AUTH_BRIDGE_READ_ONLY', 'SQLSTATE 25006')
    expect(await by.listSessions(owner)).toEqual([])
    for (const whenFull of ['refuse', 'revoke-oldest'] as const) {
      const call = by.createSession({ ...owner, maxSessions: 1, whenFull })
      await rejects(call, 'ERR_AUTH_BRIDGE_READ_ONLY', 'SQLSTATE 25006')
    }
  })

  test('that can not be reached is no answer', async () => {
    const by = open('postgres://127.0.0.1:1/none', { secureCookie: false })
    await rejects(by.createSession(owner), 'ERR_AUTH_BRIDGE_DATABASE', 'cannot connect')
    await rejects(by.listSessions(owner), 'ERR_AUTH_BRIDGE_DATABASE', 'cannot connect')
  })

  test('a closed bridge rejects', async () => {
    await bridge.close()
    for (const call of [bridge.createSession(owner), bridge.listSessions(owner), bridge.revokeSessions(owner)]) {
      await rejects(call, 'ERR_AUTH_BRIDGE_CLOSED', 'closed')
    }
  })
})

test('the functions of the module are those of its bridge', async () => {
  process.env.AUTH_SECRET = SECRET
  process.env.DATABASE_URL = database.url
  const { sessionId } = await authBridge.createSession(owner)
  expect(await authBridge.listSessions(owner)).toHaveLength(1)
  expect(await authBridge.revokeOtherSessions({ ...owner, sessionId })).toBe(0)
  expect(await authBridge.revokeSession({ ...owner, sessionId })).toBe(true)
  expect(await authBridge.revokeSessions(owner)).toBe(0)
  expect(await authBridge.revokeTenantSessions({ tenant: owner.tenant })).toBe(0)
  expect(await authBridge.deleteEndedSessions({ before: new Date(0) })).toBe(0)
  const { cookieHeader } = await authBridge.sealSession(
    claimsOf(user, { session_id: sessionId, login_method: 'google' }),
  )
  expect(cookieHeader).toMatch(new RegExp(`^(__Secure-)?${COOKIE_NAME}=`))
  await authBridge.defaultBridge().close()
})
