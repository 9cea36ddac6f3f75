// The API for operators: statistics, health, closing, and shared connections.

import { inspect } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import type { AuthBridgeOptions, BridgeStats } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { connections, SLACK_MS } from './support/faults.js'
import { codeBlocks } from './support/pages.js'
import { freePort } from './support/postgres.mjs'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const database = useDatabase()
const execute = (sql: string) => database.client.query(sql)
const ourConnections = () => connections(database.client, 'AND datname = current_database()')

// After the bridges of a test are closed: hooks run in reverse order.
afterEach(() => expect.poll(ourConnections).toBe(0))
const open = useBridges()
const connect = (options: AuthBridgeOptions = {}) => open(database.url, options)
async function signIn(columns = {}) {
  const user = await createUser(database.client)
  const session = await createSession(database.client, user, columns)
  return { session, user, cookie: await mintCookie(claimsOf(user, session), { secret: SECRET }) }
}
const notZero = (counts: Record<string, number>) =>
  Object.fromEntries(Object.entries(counts).filter(([, count]) => count))

describe('stats', () => {
  test('of a new bridge: all zero, with every reason and code', () => {
    const stats = connect({ maxConnections: 7 }).stats()
    expect(stats.calls).toEqual({ authenticated: 0, unauthenticated: 0, failed: 0, pending: 0 })
    expect(notZero(stats.reasons)).toEqual({})
    expect(Object.keys(stats.reasons)).toHaveLength(19)
    expect(Object.keys(stats.errors).sort()).toEqual([
      'ERR_AUTH_BRIDGE_CLOSED',
      'ERR_AUTH_BRIDGE_DATABASE',
      'ERR_AUTH_BRIDGE_INTERNAL',
      'ERR_AUTH_BRIDGE_OUTCOME_UNKNOWN',
      'ERR_AUTH_BRIDGE_READ_ONLY',
      'ERR_AUTH_BRIDGE_TIMEOUT',
      'ERR_AUTH_BRIDGE_TOO_MANY_SESSIONS',
    ])
    expect(stats.rolls).toEqual({ issued: 0, held: 0, refused: 0, tooLarge: 0 })
    expect(stats.sessions).toEqual({ created: 0, revoked: 0, deleted: 0 })
    expect(stats.latency).toMatchObject({ count: 0, sum: 0, max: 0, p50: 0, p95: 0, p99: 0 })
    expect(stats.pool).toEqual({ max: 7, size: 0, inUse: 0, waiting: 0, connects: 0, connectFailures: 0 })
  })

  test('every call is counted once, by its outcome, with its reason or code', async () => {
    const bridge = connect()
    const live = await signIn()
    const revoked = await signIn({ revoked_at: new Date() })
    for (const header of [live.cookie, live.cookie, revoked.cookie, 'a=b', undefined, 'authjs.session-token=x']) {
      await bridge.getSession(header)
    }
    await bridge.getSessionJson(live.cookie)
    // Doesn't count as a call of getSession.
    await bridge.explainSession(live.cookie)
    const { calls, reasons, latency, batches, pool } = bridge.stats()
    expect(calls).toEqual({ authenticated: 3, unauthenticated: 4, failed: 0, pending: 0 })
    expect(notZero(reasons)).toEqual({ 'no-cookie': 2, 'malformed-token': 1, 'session-revoked': 1 })
    expect(latency.count).toBe(4)
    expect(latency.sum).toBeGreaterThan(0)
    expect(latency.p50).toBeLessThanOrEqual(latency.p99)
    expect(latency.p99).toBeLessThanOrEqual(latency.max)
    expect(batches).toMatchObject({ count: 4, sum: 4, max: 1 })
    expect(pool).toMatchObject({ max: 10, size: 1, inUse: 0, waiting: 0, connects: 1, connectFailures: 0 })
  })

  test('buckets are cumulative and end with all values', async () => {
    const bridge = connect()
    const { cookie } = await signIn()
    await Promise.all(Array.from({ length: 100 }, () => bridge.getSession(cookie)))
    for (const { buckets, count } of [bridge.stats().latency, bridge.stats().batches]) {
      expect(buckets.map(({ le }) => le)).toEqual(buckets.map(({ le }) => le).sort((a, b) => a - b))
      expect(buckets.map((bucket) => bucket.count)).toEqual(buckets.map((bucket) => bucket.count).sort((a, b) => a - b))
      expect(buckets.at(-1)?.count).toBe(count)
    }
  })

  test('calls in flight are pending, their connections in use', async () => {
    const bridge = connect()
    const { cookie } = await signIn()
    await execute('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
    const calls = [bridge.getSession(cookie), bridge.getSession(cookie)]
    // Both in one query.
    await expect.poll(() => bridge.stats().pool.inUse).toBe(1)
    expect(bridge.stats().calls.pending).toBe(2)
    await execute('ROLLBACK')
    await Promise.all(calls)
    expect(bridge.stats().calls.pending).toBe(0)
    await expect.poll(() => bridge.stats().pool.inUse).toBe(0)
  })

  test('failures by code, also of connections', async () => {
    const bridge = connect({ databaseUrl: `postgres://u@127.0.0.1:${await freePort()}/d` })
    const { cookie } = await signIn()
    await expect(bridge.getSession(cookie)).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_DATABASE' })
    await bridge.close()
    await expect(bridge.getSession(cookie)).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_CLOSED' })
    const { calls, errors, pool } = bridge.stats()
    expect(calls.failed).toBe(2)
    expect(notZero(errors)).toEqual({ ERR_AUTH_BRIDGE_DATABASE: 1, ERR_AUTH_BRIDGE_CLOSED: 1 })
    expect(pool.connectFailures).toBe(1)
  })

  test('the exporter of docs/operating.md writes lines that Prometheus reads', async () => {
    const bridge = connect()
    const { cookie } = await signIn()
    await bridge.getSession(cookie)
    const example = codeBlocks('docs/operating.md').find(({ text }) => text.includes('metrics()'))?.text ?? ''
    const [importLine, ...rest] = example.split('\n')
    expect(importLine).toBe(`import { defaultBridge } from 'authjs-bridge'`)
    const metrics = new Function('defaultBridge', `${rest.join('\n').replace('export ', '')}\nreturn metrics`)
    const lines = (metrics(() => bridge)() as string).trimEnd().split('\n')
    for (const line of lines) expect(line).toMatch(/^[a-z_]+(\{[a-z]+="[^"]+"\})? [0-9.]+$/)
    expect(lines).toContain('authjs_bridge_calls{outcome="authenticated"} 1')
    expect(lines).toContain('authjs_bridge_latency_ms_bucket{le="+Inf"} 1')
    expect(lines).toContain('authjs_bridge_pool{state="size"} 1')
  })
})

describe('health', () => {
  test('returns how long the query took', async () => {
    const { milliseconds, ...rest } = await connect().health()
    expect(milliseconds).toBeGreaterThan(0)
    expect(milliseconds).toBeLessThan(5000)
    expect(rest).toEqual({})
  })

  test("doesn't count as a call of getSession", async () => {
    const bridge = connect()
    await bridge.health()
    expect(bridge.stats().calls).toEqual({ authenticated: 0, unauthenticated: 0, failed: 0, pending: 0 })
  })

  test('rejects as getSession does: nothing listens, no tables, closed', async () => {
    const down = connect({ databaseUrl: `postgres://u@127.0.0.1:${await freePort()}/d` })
    await expect(down.health()).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_DATABASE' })
    const empty = connect({ databaseUrl: database.url.replace(/test_\w+$/, 'template1') })
    await expect(empty.health()).rejects.toMatchObject({
      code: 'ERR_AUTH_BRIDGE_DATABASE',
      message: expect.stringMatching(/sessions and users not found in the search path/),
    })
    const closed = connect()
    await closed.close()
    await expect(closed.health()).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_CLOSED' })
  })
})

describe('close', () => {
  test('waits for calls in flight, rejects new ones, and closes every connection', async () => {
    const bridge = connect()
    const { session, cookie } = await signIn()
    const calls = Array.from({ length: 50 }, () => bridge.getSession(cookie))
    const closed = bridge.close()
    await expect(bridge.getSession(cookie)).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_CLOSED' })
    const bodies = await Promise.all(calls)
    expect(bodies.map((body) => body.session_id)).toEqual(Array(50).fill(session.session_id))
    await closed
    await expect.poll(ourConnections).toBe(0)
  })

  test('waits at most as long as a call may take', async () => {
    const bridge = connect({ callTimeout: 300, queryTimeout: 60_000 })
    const { cookie } = await signIn()
    await execute('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
    const start = performance.now()
    const call = bridge.getSession(cookie)
    const refused = expect(call).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_TIMEOUT' })
    await bridge.close()
    expect(performance.now() - start).toBeLessThan(300 + SLACK_MS)
    await refused
    await execute('ROLLBACK')
  })
})

describe('bridges with the same options', () => {
  test('share their connections, which close with the last of them', async () => {
    const { session, cookie } = await signIn()
    const bridges = Array.from({ length: 20 }, () => connect())
    for (const bridge of bridges) expect((await bridge.getSession(cookie)).session_id).toBe(session.session_id)
    expect(await ourConnections()).toBe(1)
    const pools = bridges.map((bridge) => bridge.stats().pool)
    expect(pools).toEqual(Array(20).fill({ ...pools[0], size: 1, connects: 1 }))
    // Each has its own counts.
    expect(bridges.map((bridge) => bridge.stats().calls.authenticated)).toEqual(Array(20).fill(1))
    for (const bridge of bridges.slice(1)) await bridge.close()
    expect((await bridges[0].getSession(cookie)).session_id).toBe(session.session_id)
    expect(await ourConnections()).toBe(1)
    await bridges[0].close()
    await expect.poll(ourConnections).toBe(0)
  })

  test("don't disturb each other under load", async () => {
    const { session, cookie } = await signIn()
    const bridges = [connect({ maxConnections: 2 }), connect({ maxConnections: 2 }), connect({ maxConnections: 2 })]
    const calls = bridges.flatMap((bridge) => Array.from({ length: 500 }, () => bridge.getSession(cookie)))
    const bodies = await Promise.all(calls)
    expect(bodies.map((body) => body.session_id)).toEqual(Array(1500).fill(session.session_id))
    expect(await ourConnections()).toBeLessThanOrEqual(2)
  })

  test('with other options have other connections', async () => {
    const { cookie } = await signIn()
    for (const bridge of [connect(), connect({ maxConnections: 3 }), connect({ preparedStatements: false })]) {
      await bridge.getSession(cookie)
    }
    expect(await ourConnections()).toBe(3)
  })
})

test('statistics contain no cookie, claim, secret or password', async () => {
  const bridge = connect()
  const { cookie, user, session } = await signIn()
  await bridge.getSession(cookie)
  await bridge.getSession(`${cookie}x`)
  await bridge.close()
  await bridge.getSession(cookie).catch(() => {})
  const text = JSON.stringify(bridge.stats() satisfies BridgeStats)
  const password = decodeURIComponent(new URL(database.url).password)
  const { email, tenant, user_id } = user
  for (const secret of [cookie.slice(-20), email, tenant, user_id, session.session_id, SECRET, password])
    expect(text).not.toContain(secret)
})

test('an error contains nothing of its request', async () => {
  const { cookie, user, session } = await signIn()
  const closed = connect()
  await closed.close()
  const bridges = [
    closed,
    connect({ databaseUrl: `postgres://u@127.0.0.1:${await freePort()}/d` }),
    connect({ databaseUrl: `${database.url}?schema=nowhere` }),
  ]
  for (const bridge of bridges) {
    const header = `theme=darkness; ${cookie}`
    for (const call of [bridge.getSession(header), bridge.getSessionJson(header)]) {
      const error = await Promise.resolve<unknown>(call).catch((error) => error)
      expect(error).toBeInstanceOf(Error)
      const text = inspect(error, { depth: 9, showHidden: true })
      const { tenant, user_id, email } = user
      for (const secret of [cookie.slice(-20), 'darkness', tenant, user_id, email, session.session_id, SECRET])
        expect(text).not.toContain(secret)
    }
  }
})
