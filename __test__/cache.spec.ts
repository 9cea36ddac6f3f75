// `maxStaleness` on real PostgreSQL: what is answered without a query, for how long, and what ends it at once. The promise under
// reordering has a property beside `src/store/cache.rs`, and under load in several processes `__test__/cache-processes.spec.ts`.

import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { AuthBridge, AuthBridgeOptions } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { inOneBatch, useDatabase } from './support/database.js'
import { startProxy } from './support/proxy.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const LONG = 60_000
const database = useDatabase()
const open = useBridges()
const connect = (options: AuthBridgeOptions = {}, url = database.url) =>
  open(url, { secureCookie: false, maxStaleness: LONG, ...options })

type Session = Awaited<ReturnType<typeof createSession>>
let user: Awaited<ReturnType<typeof createUser>>
let bridge: AuthBridge
beforeEach(async () => {
  user = await createUser(database.client)
  bridge = connect()
})

const start = (columns: Parameters<typeof createSession>[2] = {}) => createSession(database.client, user, columns)
const cookieOf = (session: Session, more: Record<string, unknown> = {}) =>
  mintCookie(claimsOf(user, session, more), { secret: SECRET })
const set = (session: Session, change: string) =>
  database.client.query(`UPDATE sessions SET ${change} WHERE session_id = $1`, [session.session_id])
const queries = (of = bridge) => of.stats().batches.count
const cacheOf = (of = bridge) => of.stats().cache
/** Not due. */
const ROLLED = { rolled_at: Math.floor(Date.now() / 1000) }

async function kept(more: Record<string, unknown> = {}, by = bridge) {
  const session = await start()
  const cookie = await cookieOf(session, more)
  const body = await by.getSession(cookie)
  expect(body).toMatchObject({ session_id: session.session_id })
  const before = queries(by)
  expect(await by.getSession(cookie)).toEqual(body)
  expect(queries(by)).toBe(before)
  return { session, cookie }
}

describe('an answer that is kept', () => {
  test('serves later calls without a query, in every form', async () => {
    const { session, cookie } = await kept({ name: 'Ada', ...ROLLED })
    const body = await bridge.getSession(cookie)
    expect(body).toMatchObject({ session_id: session.session_id, user: { name: 'Ada' } })
    expect(await bridge.getSessionJson(cookie)).toBe(JSON.stringify(body))
    expect(await bridge.refreshSession(cookie)).toEqual({ session: body, setCookie: [], cookieHeader: cookie })
    expect(queries()).toBe(1)
    expect(cacheOf()).toEqual({ size: 1, hits: 4, misses: 1, evictions: 0, invalidations: 0 })
    expect(bridge.stats().calls).toEqual({ authenticated: 5, unauthenticated: 0, failed: 0, pending: 0 })
  })

  test('serves all tokens of its session, each with its own claims, but no other user', async () => {
    const { session } = await kept()
    expect(await bridge.getSession(await cookieOf(session, { plan: 'pro' }))).toMatchObject({ user: { plan: 'pro' } })
    expect(queries()).toBe(1)
    expect(await bridge.getSession(await cookieOf(session, { id: user.tenant, sub: user.tenant }))).toEqual({})
    expect(await bridge.getSession(await cookieOf(session, { user_type: 'client' }))).toEqual({})
    expect(queries()).toBe(3)
  })

  test('of a revoked session does so, too', async () => {
    const cookie = await cookieOf(await start({ revoked_at: new Date() }))
    for (let call = 0; call < 3; call++) expect(await bridge.getSession(cookie)).toEqual({})
    expect(queries()).toBe(1)
    expect(bridge.stats().reasons['session-revoked']).toBe(3)
  })

  test('counts for maxStaleness from when its query was sent', async () => {
    const quick = connect({ maxStaleness: 200 })
    const { session, cookie } = await kept({}, quick)
    await set(session, 'revoked_at = now()')
    await sleep(200)
    expect(await quick.getSession(cookie)).toEqual({})
    expect(queries(quick)).toBe(2)
  })

  test('is not there without maxStaleness', async () => {
    const asking = connect({ maxStaleness: 0 })
    const cookie = await cookieOf(await start())
    for (let call = 0; call < 2; call++) expect(await asking.getSession(cookie)).not.toEqual({})
    expect(queries(asking)).toBe(2)
    expect(cacheOf(asking)).toEqual({ size: 0, hits: 0, misses: 0, evictions: 0, invalidations: 0 })
  })

  test('is shared by bridges with the same options, and by no others', async () => {
    const [same, other] = [connect({ updateAge: 0 }), connect({ maxStaleness: LONG - 1 })]
    const { cookie } = await kept()
    await same.getSession(cookie)
    await other.getSession(cookie)
    expect([same, other].map(queries)).toEqual([0, 1])
    expect(cacheOf(same)).toEqual(cacheOf())
  })

  test.each<[string, AuthBridgeOptions, string]>([
    ['expires_at', {}, `expires_at = now() + interval '1.5 s'`],
    ['the absolute limit', { absoluteMaxAge: 60 }, `created_at = now() - interval '58.5 s'`],
    ['the earlier of both', { absoluteMaxAge: 60 }, `created_at = now(), expires_at = now() + interval '1.5 s'`],
  ])('lasts no longer than its session: %s', async (_, options, change) => {
    const ending = connect(options)
    const session = await start()
    await set(session, change)
    const cookie = await cookieOf(session)
    expect(await ending.getSession(cookie)).toMatchObject({ session_id: session.session_id })
    await sleep(1_500)
    expect(await ending.getSession(cookie)).toEqual({})
  })

  test.each<AuthBridgeOptions>([
    {},
    { sharded: true },
    { preparedStatements: false },
    { sharded: true, freshClaims: ['username'], absoluteMaxAge: 3600 },
  ])('is kept of a query for one session, for many, and of one that slides some: %j', async (options) => {
    const of = connect({ ...options, maxConnections: 1 })
    const sessions = await Promise.all(Array.from({ length: 6 }, () => start()))
    await database.client.query(
      `UPDATE sessions SET expires_at = now() + interval '1.5 s' WHERE session_id = ANY ($1)`,
      [sessions.slice(4).map(({ session_id }) => session_id)],
    )
    const due = await Promise.all(sessions.map((session) => cookieOf(session)))
    const read = (cookie: string) => of.getSession(cookie)
    const ids = (bodies: object[]) => bodies.map((body) => 'session_id' in body && body.session_id)
    const expected = sessions.map(({ session_id }) => session_id)
    const asked = performance.now()
    // The first and the last one are slid, and so live on.
    const mixed = due.map((cookie, index) => ({ cookie, rolls: index % 5 === 0 }))
    const first = await inOneBatch(database.client, due, async (cookie) => {
      const rolls = mixed.find((each) => each.cookie === cookie)?.rolls
      return rolls ? (await of.refreshSession(cookie)).session : read(cookie)
    })
    expect(ids(first)).toEqual(expected)
    // What was slid is asked for once more.
    expect(ids(await Promise.all(due.map(read)))).toEqual(expected)
    const before = queries(of)
    expect(ids(await Promise.all(due.map(read)))).toEqual(expected)
    expect(queries(of)).toBe(before)
    await sleep(1_600 - (performance.now() - asked))
    const ended = ids(await Promise.all(due.map(read)))
    expect(ended).toEqual(expected.map((id, index) => index !== 4 && id))
  })

  test('has the fresh claims as they were', async () => {
    const fresh = connect({ freshClaims: ['username'], maxStaleness: 1_000 })
    const rename = (username: string) =>
      database.client.query('UPDATE users SET username = $1 WHERE user_id = $2', [username, user.user_id])
    await rename('ada')
    const cookie = await cookieOf(await start())
    const read = () => fresh.getSession(cookie)
    expect(await read()).toMatchObject({ user: { username: 'ada' } })
    const asked = performance.now()
    await rename('countess')
    expect(await read()).toMatchObject({ user: { username: 'ada' } })
    expect(queries(fresh)).toBe(1)
    await sleep(1_000 - (performance.now() - asked))
    expect(await fresh.getSession(cookie)).toMatchObject({ user: { username: 'countess' } })
  })
})

describe('what is not kept', () => {
  test.each<[string, (session: Session) => Promise<unknown>]>([
    [
      'an unknown session',
      (session) => database.client.query('DELETE FROM sessions WHERE session_id = $1', [session.session_id]),
    ],
    ['an expired one', (session) => set(session, `expires_at = now() - interval '1 s'`)],
    ['that of another user', (session) => set(session, 'user_id = gen_random_uuid()')],
    ['that of a user who is gone', () => database.client.query('DELETE FROM users WHERE user_id = $1', [user.user_id])],
  ])('%s', async (_, change) => {
    const session = await start()
    const cookie = await cookieOf(session)
    await change(session)
    for (let call = 0; call < 2; call++) expect(await bridge.getSession(cookie)).toEqual({})
    expect(queries()).toBe(2)
    expect(cacheOf().size).toBe(0)
  })

  test('a session that has just been made is found', async () => {
    const session = {
      tenant: user.tenant,
      session_id: user.user_id,
      user_id: user.user_id,
      login_method: 'credentials',
    }
    const cookie = await cookieOf(session)
    expect(await bridge.getSession(cookie)).toEqual({})
    await start({ session_id: session.session_id })
    expect(await bridge.getSession(cookie)).toMatchObject({ session_id: session.session_id })
  })

  test('errors; in an outage what is kept counts until it is too old', async () => {
    const { port } = new URL(database.url)
    let proxy = await startProxy(Number(port))
    onTestFinished(() => proxy.close())
    const outage = connect({ maxStaleness: 1_500, connectTimeout: 500 }, database.url.replace(port, String(proxy.port)))
    const { session, cookie } = await kept({}, outage)
    const asked = performance.now()
    proxy.close()
    expect(await outage.getSession(cookie)).toMatchObject({ session_id: session.session_id })
    const rejects = (cookie: string) =>
      expect(outage.getSession(cookie)).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_DATABASE' })
    await rejects(await cookieOf(await start()))
    await sleep(1_500 - (performance.now() - asked))
    await rejects(cookie)
    proxy = await startProxy(Number(port), proxy.port)
    expect(await outage.getSession(cookie)).toMatchObject({ session_id: session.session_id })
  })
})

describe('what this process does counts at once', () => {
  const OWNER = () => ({ tenant: user.tenant, userId: user.user_id })

  test.each<[string, (session: Session, by: AuthBridge) => Promise<unknown>]>([
    ['revokeSession', (session, by) => by.revokeSession({ ...OWNER(), sessionId: session.session_id })],
    ['of any user', ({ tenant, session_id }, by) => by.revokeSession({ tenant, sessionId: session_id, anyUser: true })],
    ['revokeOtherSessions', (_, by) => by.revokeOtherSessions({ ...OWNER(), sessionId: user.tenant })],
    ['revokeSessions', (_, by) => by.revokeSessions(OWNER())],
    ['revokeTenantSessions', (_, by) => by.revokeTenantSessions({ tenant: user.tenant })],
    ['a limit of sessions', (_, by) => by.createSession({ ...OWNER(), maxSessions: 1 })],
  ])('%s, by whatever bridge of the process', async (_, end) => {
    const others = [connect({ maxStaleness: LONG - 1 }), connect({ freshClaims: ['email'] })]
    for (const by of [bridge, connect({ maxStaleness: 0 }), ...others]) {
      const { session, cookie } = await kept()
      for (const other of others) {
        for (let call = 0; call < 2; call++) expect(await other.getSession(cookie)).not.toEqual({})
        expect(cacheOf(other).hits).toBeGreaterThan(0)
      }
      await end(session, by)
      for (const reading of [bridge, ...others]) expect(await reading.getSession(cookie)).toEqual({})
    }
  })

  test('also in another thread', async () => {
    const { session, cookie } = await kept()
    const code = `
      const { workerData } = require('node:worker_threads')
      const { AuthBridge } = require(workerData.index)
      const bridge = new AuthBridge(workerData.options)
      bridge.revokeSession(workerData.session).then(() => bridge.close())`
    const worker = new Worker(code, {
      eval: true,
      workerData: {
        index: fileURLToPath(new URL('../index.js', import.meta.url)),
        options: { secret: SECRET, databaseUrl: database.url },
        session: { ...OWNER(), sessionId: session.session_id },
      },
    })
    await new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
    expect(await bridge.getSession(cookie)).toEqual({})
  })

  test('a write whose outcome is unknown', async () => {
    const { session, cookie } = await kept()
    // The first answer never comes, and the session ends all the same.
    await database.client.query(`
      CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NEW; END';
      CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON sessions DEFERRABLE FOR EACH ROW EXECUTE FUNCTION slow()`)
    onTestFinished(async () => void (await database.client.query('DROP FUNCTION slow CASCADE')))
    const ending = connect({ maxStaleness: 0, queryTimeout: 300, callTimeout: 600 })
    await expect(ending.revokeSession({ ...OWNER(), sessionId: session.session_id })).rejects.toMatchObject({
      code: 'ERR_AUTH_BRIDGE_OUTCOME_UNKNOWN',
    })
    // And it may yet come: so for a while nothing is kept.
    for (let call = 0; call < 2; call++) {
      const before = queries()
      await bridge.getSession(cookie)
      expect(queries()).toBe(before + 1)
    }
  })

  test.each<[string, AuthBridgeOptions, AuthBridgeOptions]>([
    ['a bridge without tenants', {}, { multiTenant: false }],
    ['a bridge with tenants', { multiTenant: false }, {}],
  ])('by %s, on the same tables', async (_, reading, ending) => {
    const [reader, writer] = [connect({ userCheck: 'none', ...reading }), connect({ userCheck: 'none', ...ending })]
    const owner = ending.multiTenant === false ? ({ userId: user.user_id } as never) : OWNER()
    const ends: ((session: Session) => Promise<unknown>)[] = [
      ({ session_id }) => writer.revokeSession(Object.assign({ sessionId: session_id }, owner)),
      () => writer.revokeSessions(owner),
      ...(ending.multiTenant === false ? [] : [() => writer.revokeTenantSessions({ tenant: user.tenant })]),
    ]
    for (const end of ends) {
      const { session, cookie } = await kept({}, reader)
      await end(session)
      expect(await reader.getSession(cookie)).toEqual({})
    }
  })

  test('a slide, which may shorten a session', async () => {
    const { session, cookie } = await kept()
    await connect({ maxStaleness: 0, updateAge: 0, maxAge: 1 }).refreshSession(cookie)
    const before = queries()
    expect(await bridge.getSession(cookie)).toMatchObject({ session_id: session.session_id })
    expect(queries()).toBe(before + 1)
  })

  test('what others have kept stays', async () => {
    const [one, two] = [await kept(), await kept()]
    await bridge.revokeSession({ ...OWNER(), sessionId: one.session.session_id })
    const before = queries()
    expect(await bridge.getSession(two.cookie)).not.toEqual({})
    expect(queries()).toBe(before)
    expect(cacheOf().invalidations).toBe(0)
    expect(await bridge.getSession(one.cookie)).toEqual({})
    expect(cacheOf().invalidations).toBe(1)
  })
})

test('a token that is due is always asked for', async () => {
  const { cookie } = await kept()
  const first = await bridge.refreshSession(cookie)
  expect(first.setCookie).toHaveLength(1)
  expect(queries()).toBe(2)
  // The slide has changed when the session ends.
  for (let call = 0; call < 3; call++) {
    expect(await bridge.refreshSession(first.cookieHeader)).toEqual({ ...first, setCookie: [] })
    expect(queries()).toBe(3)
  }
  expect(await bridge.updateSession(first.cookieHeader, { plan: 'pro' })).toMatchObject({ updated: true })
  expect(queries()).toBe(4)
})

test('a revoked session that is refreshed is asked for, since its cookie is deleted', async () => {
  const cookie = await cookieOf(await start({ revoked_at: new Date() }), ROLLED)
  await bridge.getSession(cookie)
  const { session, setCookie } = await bridge.refreshSession(cookie)
  expect(session).toEqual({})
  expect(setCookie).toEqual([expect.stringContaining('Max-Age=0')])
  expect(queries()).toBeGreaterThan(1)
})

test('of several sessions of a request, the newest that is live', async () => {
  const [older, newer] = [await start(), await start()]
  const cookies = [await cookieOf(older), await cookieOf(newer)]
  // Of tokens of the same second the first in the header counts as the newest.
  const both = cookies.reverse().join('; ')
  const read = async () => (await bridge.getSession(both)) as { session_id?: string }
  expect((await read()).session_id).toBe(newer.session_id)
  expect((await read()).session_id).toBe(newer.session_id)
  expect(queries()).toBe(1)
  await bridge.revokeSession({ tenant: user.tenant, userId: user.user_id, sessionId: newer.session_id })
  for (let call = 0; call < 2; call++) expect((await read()).session_id).toBe(older.session_id)
})

test('a newer answer than that which is kept counts', async () => {
  const { session, cookie } = await kept(ROLLED)
  await set(session, `expires_at = now() - interval '1 s'`)
  expect(await bridge.getSession(cookie)).toMatchObject({ session_id: session.session_id })
  await bridge.explainSession(cookie)
  expect(await bridge.getSession(cookie)).toEqual({})
})

test('explainSession asks, and says what was kept', async () => {
  const { session, cookie } = await kept()
  await set(session, 'revoked_at = now()')
  const explained = await bridge.explainSession(cookie)
  expect(explained).toMatchObject({ reason: 'session-revoked', kept: { reason: 'live', age: expect.any(Number) } })
  expect(explained.kept?.age).toBeLessThan(LONG)
  expect(await bridge.explainSession(cookie)).toMatchObject({ kept: { reason: 'session-revoked' } })
  await bridge.revokeSessions({ tenant: user.tenant, userId: user.user_id })
  expect(await bridge.explainSession(cookie)).not.toHaveProperty('kept')
  expect(await connect({ maxStaleness: 0 }).explainSession(cookie)).not.toHaveProperty('kept')
})

test('maxCached bounds how many are kept', async () => {
  const small = connect({ maxCached: 3 })
  for (let session = 0; session < 10; session++) await small.getSession(await cookieOf(await start()))
  const { size, evictions } = cacheOf(small)
  expect(size).toBeLessThanOrEqual(3)
  expect(size + evictions).toBe(10)
})

test.each([
  ['an exact text', 'text', 1],
  ['a text that ignores case', 'text COLLATE ignoring_case', 2],
  ['a padded text', 'char(40)', 2],
])('ids in %s: whatever a session is called when it ends', async (_, type, forgotten) => {
  const { client } = database
  await client.query(`
    CREATE COLLATION IF NOT EXISTS ignoring_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    DROP TABLE IF EXISTS named;
    CREATE TABLE named (session_id ${type} PRIMARY KEY, user_id text, revoked_at timestamptz, expires_at timestamptz);
    INSERT INTO named VALUES ('one', 'ada'), ('two', 'ada')`)
  const named = connect({ tables: { sessions: 'public.named' }, multiTenant: false, userCheck: 'none' })
  const cookie = (session_id: string) => mintCookie({ id: 'ada', session_id }, { secret: SECRET })
  // As the database compares them, it is the same session.
  const called = type === 'text' ? 'one' : type === 'char(40)' ? 'one ' : 'ONE'
  for (const id of [called, 'two']) expect(await named.getSession(await cookie(id))).not.toEqual({})
  expect(await named.revokeSession({ sessionId: 'one', userId: 'ada' } as never)).toBe(true)
  expect(await named.getSession(await cookie(called))).toEqual({})
  expect(await named.getSession(await cookie('two'))).not.toEqual({})
  expect(cacheOf(named).invalidations).toBe(forgotten)
})
