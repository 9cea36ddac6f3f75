// Several servers: which of them is used, and what happens if the primary fails.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AuthBridgeOptions } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { diagnose } from './support/command-line.js'
import { mintCookie } from './support/cookies.mjs'
import { connections, QUICK, rejectionOf, SLACK_MS, withClient } from './support/faults.js'
import { startLoad } from './support/load.mjs'
import { freePort, startPostgres, startStandby } from './support/postgres.mjs'
import { startProxy } from './support/proxy.js'
import { claimsOf, createSession, createSessions, createTables, createUser } from './support/tenants.mjs'

let primary: Awaited<ReturnType<typeof startPostgres>>
let standby: Awaited<ReturnType<typeof startStandby>>
let session: Awaited<ReturnType<typeof createSession>>
let cookie: string
let sessions: Awaited<ReturnType<typeof createSessions>>

beforeAll(async () => {
  primary = await startPostgres()
  await withClient(primary.url(), async (client) => {
    await createTables(client)
    const user = await createUser(client)
    session = await createSession(client, user)
    sessions = await createSessions(client, user, SECRET)
    cookie = await mintCookie(claimsOf(user, session), { secret: SECRET })
  })
  standby = await startStandby(primary)
})
afterAll(async () => {
  await standby.dispose()
  await primary.dispose()
})

const open = useBridges()
type Server = { port: number }
/** A bridge whose URL lists the servers in this order. */
function connect(servers: Server[], parameters = '', options: AuthBridgeOptions = QUICK) {
  const hosts = servers.map(({ port }) => `127.0.0.1:${port}`).join()
  const databaseUrl = primary.url().replace(`127.0.0.1:${primary.port}`, hosts) + parameters
  return open(databaseUrl, options)
}
const connectionsOf = (server: typeof primary) => withClient(server.url(), (client) => connections(client))
const execute = (sql: string, server = primary) => withClient(server.url(), (client) => client.query(sql))

const setRevoked = (value: string) =>
  `UPDATE sessions SET revoked_at = ${value} WHERE session_id = '${session.session_id}'`

describe('the server that is used', () => {
  test.each<[string, () => Server[], string, 'primary' | 'standby']>([
    ['the first', () => [primary, standby], '', 'primary'],
    ['the first, even a standby', () => [standby, primary], '', 'standby'],
    ['the second where nothing listens', () => [{ port: 1 }, primary], '', 'primary'],
    ['read-write', () => [standby, primary], '?target_session_attrs=read-write', 'primary'],
    ['primary', () => [standby, primary], '?target_session_attrs=primary', 'primary'],
    ['read-only', () => [primary, standby], '?target_session_attrs=read-only', 'standby'],
    ['standby', () => [primary, standby], '?target_session_attrs=standby', 'standby'],
    ['prefer-standby, with one', () => [primary, standby], '?target_session_attrs=prefer-standby', 'standby'],
    ['prefer-standby, without one', () => [primary], '?target_session_attrs=prefer-standby', 'primary'],
  ])('%s', async (_, servers, parameters, expected) => {
    const bridge = connect(servers(), parameters)
    expect((await bridge.getSession(cookie)).session_id).toBe(session.session_id)
    // A server that was asked what it is, and not wanted, may not have ended the connection yet.
    await expect
      .poll(async () => ({ primary: await connectionsOf(primary), standby: await connectionsOf(standby) }))
      .toEqual({ primary: 0, standby: 0, [expected]: 1 })
    await bridge.close()
    await expect.poll(async () => (await connectionsOf(primary)) + (await connectionsOf(standby))).toBe(0)
  })

  test('doctor warns of a standby', async () => {
    const { code, check } = await diagnose({ env: { AUTH_SECRET: SECRET, DATABASE_URL: standby.url() } })
    expect(check('server')).toMatchObject({
      status: 'warning',
      message: expect.stringMatching(/a standby/),
      advice: expect.stringMatching(/target_session_attrs=read-write/),
    })
    expect(check('writes')).toEqual({ id: 'writes', status: 'ok', message: 'are refused: the server is a standby' })
    expect(code).toBe(0)
  })

  test('in any order with load_balance_hosts=random', async () => {
    const seen = new Set<string>()
    for (let tries = 0; seen.size < 2 && tries < 64; tries++) {
      const bridge = connect([primary, standby], '?load_balance_hosts=random')
      await bridge.getSession(cookie)
      seen.add((await connectionsOf(primary)) > (await connectionsOf(standby)) ? 'primary' : 'standby')
      await bridge.close()
      await expect.poll(async () => (await connectionsOf(primary)) + (await connectionsOf(standby))).toBe(0)
    }
    expect([...seen].sort()).toEqual(['primary', 'standby'])
  })

  test('no server of the wanted kind: the error says so for each', async () => {
    const { code, message } = await rejectionOf(
      connect([{ port: 1 }, standby], '?target_session_attrs=read-write'),
      cookie,
    )
    expect(code).toBe('ERR_AUTH_BRIDGE_DATABASE')
    expect(message).toMatch(/127\.0\.0\.1:1: .*refused.*; 127\.0\.0\.1:\d+: is read-only$/)
  })

  test('the next after connectTimeout, if the first never replies', async () => {
    const silent = await startProxy(primary.port)
    silent.disturb({ delayMs: 600_000 }, { always: true })
    const bridge = connect([silent, primary])
    const start = performance.now()
    expect((await bridge.getSession(cookie)).session_id).toBe(session.session_id)
    expect(performance.now() - start).toBeGreaterThan(QUICK.connectTimeout - 10)
    expect(performance.now() - start).toBeLessThan(QUICK.connectTimeout + SLACK_MS)
    silent.close()
  })

  test.each(['', '&target_session_attrs=prefer-standby'])(
    'the third where two say nothing: the time of a call is shared out%s',
    async (more) => {
      const silent = await startProxy(primary.port)
      silent.disturb({ delayMs: 600_000 }, { always: true })
      // By its own limit each of them might take longer than the call.
      const bridge = connect([silent, silent, primary], `?connect_timeout=5${more}`, {
        queryTimeout: QUICK.queryTimeout,
        callTimeout: 4000,
      })
      expect((await bridge.getSession(cookie)).session_id).toBe(session.session_id)
      expect(bridge.stats().pool).toMatchObject({ connects: 1, connectFailures: 0 })
      const { code, message } = await rejectionOf(
        connect([silent, silent], '?connect_timeout=40', {
          queryTimeout: QUICK.queryTimeout,
          callTimeout: QUICK.callTimeout,
        }),
        cookie,
      )
      expect(code).toBe('ERR_AUTH_BRIDGE_TIMEOUT')
      expect(message).toMatch(/^connecting to the database took longer than 22\d\d ms$/)
      silent.close()
    },
  )

  test('after a wrong password the other servers are not tried', async () => {
    const databaseUrl = `postgres://postgres:wrong@127.0.0.1:${primary.port},127.0.0.1:${await freePort()}/postgres`
    const { code, message } = await rejectionOf(open(databaseUrl), cookie)
    expect(code).toBe('ERR_AUTH_BRIDGE_DATABASE')
    expect(message).toMatch(
      /^cannot connect to the database: 127\.0\.0\.1:\d+: password authentication failed.*28P01\)$/,
    )
  })
})

test('a lagging standby still returns a revoked session; with read-write none does', async () => {
  const lagging = connect([standby, primary])
  const fresh = connect([standby, primary], '?target_session_attrs=read-write')
  await execute('SELECT pg_wal_replay_pause()', standby)
  await execute(setRevoked('now()'))
  expect(await fresh.getSession(cookie)).toEqual({})
  expect((await lagging.getSession(cookie)).session_id).toBe(session.session_id)
  await execute('SELECT pg_wal_replay_resume()', standby)
  await expect.poll(() => lagging.getSession(cookie)).toEqual({})
  await execute(setRevoked('NULL'))
  await expect.poll(async () => (await lagging.getSession(cookie)).session_id).toBe(session.session_id)
})

test('a standby in recovery that refuses queries: an error, or the next server', async () => {
  await standby.stop()
  const port = await freePort()
  const closed = await startStandby(primary, { hot_standby: 'off', port: String(port) }, 'started streaming WAL')
  await standby.start()
  const { code, message } = await rejectionOf(connect([{ port }]), cookie)
  expect(code).toBe('ERR_AUTH_BRIDGE_DATABASE')
  expect(message).toMatch(/SQLSTATE 57P03/)
  expect((await connect([{ port }, primary]).getSession(cookie)).session_id).toBe(session.session_id)
  await closed.dispose()
})

describe('an old primary that stays reachable after a failover is asked for no longer than maxLifetime', () => {
  let old: typeof primary
  let heir: typeof standby
  let cookie: string
  beforeEach(async () => {
    old = await startPostgres()
    await withClient(old.url(), async (client) => {
      await createTables(client)
      const user = await createUser(client)
      const session = await createSession(client, user)
      cookie = await mintCookie(claimsOf(user, session), { secret: SECRET })
    })
    heir = await startStandby(old)
  })
  afterEach(async () => {
    await heir.dispose()
    await old.dispose()
  })

  test.each<[string, (proxyPort: number) => number[]]>([
    ['where the name leads elsewhere', (proxyPort) => [proxyPort]],
    ['where target_session_attrs says no', () => [old.port, heir.port]],
  ])('%s', async (_, ports) => {
    const proxy = await startProxy(old.port)
    const hosts = ports(proxy.port).map((port) => `127.0.0.1:${port}`)
    const url = `${old.url().replace(`127.0.0.1:${old.port}`, hosts.join())}?target_session_attrs=read-write`
    const bridge = open(url, { ...QUICK, maxLifetime: 1000 })
    expect(await bridge.getSession(cookie)).toHaveProperty('session_id')
    await execute('SELECT pg_promote()', heir)
    await execute('ALTER SYSTEM SET default_transaction_read_only = on', old)
    await execute('SELECT pg_reload_conf()', old)
    proxy.redirect(heir.port)
    await execute('UPDATE sessions SET revoked_at = now()', heir)
    await expect.poll(() => bridge.getSession(cookie), { timeout: 5000 }).toEqual({})
    expect(await connectionsOf(old)).toBe(0)
    proxy.close()
  })
})

test('failover to a promoted standby under load', async () => {
  const maxConnections = 5
  const bridge = connect([primary, standby], '?target_session_attrs=read-write', { ...QUICK, maxConnections })
  const load = startLoad(bridge, sessions)
  await load.answers()
  await primary.stop('immediate')
  await sleep(300)
  await execute('SELECT pg_promote()', standby)
  await load.answers()
  const outcomes = await load.stop()
  expect(outcomes.wrong).toBe(0)
  expect(Object.keys(outcomes.errors)).toEqual(['ERR_AUTH_BRIDGE_DATABASE'])
  expect(outcomes.slowestMs).toBeLessThan(QUICK.callTimeout + SLACK_MS)
  expect(await connectionsOf(standby)).toBeLessThanOrEqual(maxConnections)

  // Revocation takes effect at once on the new primary, too.
  await execute(setRevoked('now()'), standby)
  expect(await bridge.getSession(cookie)).toEqual({})
  await execute(setRevoked('NULL'), standby)
  expect((await bridge.getSession(cookie)).session_id).toBe(session.session_id)
})
