// Faults of the database and the network: each call ends in time, with the right result or an error that names the cause, and
// calls succeed again once the database is back.

import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AuthBridge, AuthBridgeOptions } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { connections, QUICK, rejectionOf, SLACK_MS, withClient } from './support/faults.js'
import { startLoad } from './support/load.mjs'
import { HAS_PROC } from './support/platform.js'
import { freePort, startPostgres } from './support/postgres.mjs'
import { startProxy } from './support/proxy.js'
import { claimsOf, createSession, createSessions, createTables, createUser } from './support/tenants.mjs'

const DATABASE = 'ERR_AUTH_BRIDGE_DATABASE'
const TIMEOUT = 'ERR_AUTH_BRIDGE_TIMEOUT'

let server: Awaited<ReturnType<typeof startPostgres>>
let user: Awaited<ReturnType<typeof createUser>>
let session: Awaited<ReturnType<typeof createSession>>
let cookie: string
let sessions: Awaited<ReturnType<typeof createSessions>>

const asSuperuser = <T>(run: (client: pg.Client) => Promise<T>, database?: string) =>
  withClient(server.url({ database }), run)
const execute = (sql: string) => asSuperuser((client) => client.query(sql))

/** Creates the tables with the user and the session of this file. */
async function fill(database: string) {
  await asSuperuser(async (client) => {
    await createTables(client)
    await createUser(client, user)
    await createSession(client, user, session)
  }, database)
}

beforeAll(async () => {
  server = await startPostgres({ max_connections: '30' })
  await asSuperuser(async (client) => {
    await createTables(client)
    user = await createUser(client)
    session = await createSession(client, user)
    sessions = await createSessions(client, user, SECRET)
  })
  cookie = await mintCookie(claimsOf(user, session), { secret: SECRET })
})
afterAll(() => server.dispose())

const open = useBridges()
const connect = (url: string, options: AuthBridgeOptions = {}) => open(url, { ...QUICK, ...options })
async function expectSessions(bridge: AuthBridge) {
  const bodies = await Promise.all(Array.from({ length: 20 }, () => bridge.getSession(cookie)))
  expect(bodies.map((body) => body.session_id)).toEqual(Array(20).fill(session.session_id))
}

describe('the database is unavailable: rejects at once, never {}; after the repair the next call succeeds', () => {
  interface Case {
    url: () => string | Promise<string>
    message: RegExp
    /** Absent if the fault can't be repaired on this machine. */
    repair?: () => Promise<unknown>
  }
  let port: number
  const proxies: { close(): void }[] = []
  afterAll(() => {
    for (const proxy of proxies) proxy.close()
  })

  const cases: Record<string, Case> = {
    'nothing listens': {
      url: async () => {
        port = await freePort()
        return server.url({ port })
      },
      message: /^cannot connect to the database: 127\.0\.0\.1:\d+: .*refused/,
      repair: async () => proxies.push(await startProxy(server.port, port)),
    },
    'unknown host': {
      url: () => 'postgres://u:hunter2@host.invalid/d',
      message: /host\.invalid:5432: the name can't be looked up/,
    },
    'wrong password': {
      url: async () => {
        await execute(`CREATE ROLE forgetful LOGIN PASSWORD 'other'; GRANT SELECT ON sessions, users TO forgetful`)
        return server.url({ user: 'forgetful', password: 'hunter2' })
      },
      message: /password authentication failed.*28P01/,
      repair: () => execute(`ALTER ROLE forgetful PASSWORD 'hunter2'`),
    },
    'wrong database': {
      url: () => server.url({ database: 'nowhere' }),
      message: /database "nowhere" does not exist.*3D000/,
      repair: async () => {
        await execute('CREATE DATABASE nowhere')
        await fill('nowhere')
      },
    },
    'no right to read': {
      url: async () => {
        await execute(`CREATE ROLE stranger LOGIN PASSWORD 'stranger'`)
        return server.url({ user: 'stranger', password: 'stranger' })
      },
      message: /permission denied for table sessions.*42501/,
      repair: () => execute('GRANT SELECT ON sessions, users TO stranger'),
    },
    'tables missing': {
      url: async () => {
        await execute('CREATE DATABASE empty')
        return server.url({ database: 'empty' })
      },
      message: /sessions and users not found in the search path \("\$user", public\)/,
      repair: () => fill('empty'),
    },
    'a column missing': {
      url: async () => {
        await execute('ALTER TABLE sessions RENAME revoked_at TO gone')
        return server.url()
      },
      message: /s\.revoked_at.*42703/,
      repair: () => execute('ALTER TABLE sessions RENAME gone TO revoked_at'),
    },
    'a column of another type': {
      url: async () => {
        await execute('CREATE DATABASE texts')
        await fill('texts')
        await asSuperuser((client) => client.query('ALTER TABLE users ALTER user_id TYPE numeric USING 7'), 'texts')
        await asSuperuser((client) => client.query('ALTER TABLE sessions ALTER user_id TYPE numeric USING 7'), 'texts')
        return server.url({ database: 'texts' })
      },
      message: /sessions\.user_id is numeric, but ids must be uuid, text, /,
      repair: () =>
        asSuperuser(async (client) => {
          await client.query(`ALTER TABLE users ALTER user_id TYPE uuid USING '${user.user_id}'`)
          await client.query(`ALTER TABLE sessions ALTER user_id TYPE uuid USING '${user.user_id}'`)
        }, 'texts'),
    },
    'connection slots used up': {
      url: async () => {
        await execute(`CREATE ROLE narrow LOGIN PASSWORD 'narrow' CONNECTION LIMIT 0`)
        await execute('GRANT SELECT ON sessions, users TO narrow')
        return server.url({ user: 'narrow', password: 'narrow' })
      },
      message: /too many connections for role "narrow".*53300/,
      repair: () => execute('ALTER ROLE narrow CONNECTION LIMIT 1'),
    },
    'TLS required, server without it': {
      url: () => `${server.url()}?sslmode=require`,
      message: /server does not support TLS/,
    },
  }
  test.each(Object.entries(cases))('%s', async (_, { url, message, repair }) => {
    const bridge = connect(await url())
    const { code, message: told, elapsedMs } = await rejectionOf(bridge, cookie)
    expect(code).toBe(DATABASE)
    expect(told).toMatch(message)
    expect(told).not.toContain('hunter2')
    expect(elapsedMs).toBeLessThan(SLACK_MS)
    expect(await bridge.getSession('theme=dark')).toEqual({})
    await repair?.()
    if (repair) await expectSessions(bridge)
    expect(bridge.stats().calls.pending).toBe(0)
  })

  test('a proxy that refuses our settings: the error says which option to set', async () => {
    const proxy = createServer((client) => client.once('data', () => client.end(settingsError())))
    proxy.listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    const { port } = proxy.address() as AddressInfo
    const url = `postgres://u@127.0.0.1:${port}/d?sslmode=disable`
    const advice = 'set the option preparedStatements: false'
    const { code, message } = await rejectionOf(connect(url), cookie)
    expect({ code, message }).toEqual({ code: DATABASE, message: expect.stringContaining(advice) })
    // No advice if the option is already set.
    const told = await rejectionOf(connect(url, { preparedStatements: false }), cookie)
    expect(told.message).toContain('0A000')
    expect(told.message).not.toContain(advice)
    proxy.close()
  })

  /** The error of RDS Proxy: message `E` of the PostgreSQL protocol. */
  function settingsError() {
    const fields = Buffer.from('SFATAL\0VFATAL\0C0A000\0MFeature not supported\0\0')
    const length = Buffer.alloc(4)
    length.writeInt32BE(fields.length + 4)
    return Buffer.concat([Buffer.from('E'), length, fields])
  }

  test('200 concurrent calls, each with its error', async () => {
    const bridge = connect(`postgres://u@127.0.0.1:${await freePort()}/d`)
    const outcomes = await Promise.allSettled(Array.from({ length: 200 }, () => bridge.getSession(cookie)))
    const codes = outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : 'resolved'))
    expect(codes).toEqual(Array(200).fill(DATABASE))
    expect(bridge.stats().errors[DATABASE]).toBe(200)
  })
})

describe('every wait has a time limit', () => {
  test('a query that takes too long: the server cancels it, and the next call uses another connection', async () => {
    const bridge = connect(server.url())
    await asSuperuser(async (client) => {
      await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
      const { code, message, elapsedMs } = await rejectionOf(bridge, cookie)
      expect({ code, message }).toEqual({ code: TIMEOUT, message: 'the session query took longer than 1000 ms' })
      expect(elapsedMs).toBeGreaterThan(990)
      expect(elapsedMs).toBeLessThan(1000 + SLACK_MS)
      // The server has cancelled it, although the lock is still held.
      await expect.poll(() => connections(client, `AND wait_event_type = 'Lock'`)).toBe(0)
      await client.query('ROLLBACK')
    })
    await expectSessions(bridge)
  })

  test('callTimeout ends a call whose queryTimeout is longer', async () => {
    const bridge = connect(server.url(), { queryTimeout: 60_000, callTimeout: 300 })
    await asSuperuser(async (client) => {
      await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
      const { code, message, elapsedMs } = await rejectionOf(bridge, cookie)
      expect({ code, message }).toEqual({ code: TIMEOUT, message: 'the session check took longer than 300 ms' })
      expect(elapsedMs).toBeLessThan(300 + SLACK_MS)
      await expect.poll(() => connections(client, `AND wait_event_type = 'Lock'`)).toBe(0)
      await client.query('ROLLBACK')
    })
    await expectSessions(bridge)
  })

  test("statement_timeout of the server, if our cancel request doesn't arrive", async () => {
    const proxy = await startProxy(server.port)
    const bridge = connect(server.url({ port: proxy.port }))
    await expectSessions(bridge)
    await asSuperuser(async (client) => {
      await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
      const refused = rejectionOf(bridge, cookie)
      await expect.poll(() => asSuperuser((watcher) => connections(watcher, `AND wait_event_type = 'Lock'`))).toBe(1)
      proxy.close()
      expect((await refused).code).toBe(DATABASE)
      await expect.poll(() => asSuperuser((watcher) => connections(watcher))).toBe(0)
      await client.query('ROLLBACK')
    })
  })

  test('waiting calls: more than maxWaiting are rejected at once', async () => {
    const bridge = connect(server.url(), { maxWaiting: 10, maxConnections: 1 })
    await bridge.getSession(cookie)
    await asSuperuser(async (client) => {
      await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
      const inFlight = bridge.getSession(cookie)
      await expect.poll(() => asSuperuser((watcher) => connections(watcher, `AND wait_event_type = 'Lock'`))).toBe(1)
      const waiting = Array.from({ length: 10 }, () => bridge.getSession(cookie))
      const { code, message, elapsedMs } = await rejectionOf(bridge, cookie)
      expect({ code, message }).toEqual({
        code: TIMEOUT,
        message: '10 calls are waiting for the database already, which is the limit (maxWaiting)',
      })
      expect(elapsedMs).toBeLessThan(500)
      expect(bridge.stats().calls.pending).toBe(11)
      await client.query('ROLLBACK')
      const bodies = await Promise.all([inFlight, ...waiting])
      expect(bodies.map((body) => body.session_id)).toEqual(Array(11).fill(session.session_id))
    })
  })

  test('a server that accepts connections and never replies', async () => {
    const proxy = await startProxy(server.port)
    proxy.disturb({ delayMs: 600_000 }, { always: true })
    const bridge = connect(server.url({ port: proxy.port }))
    const { code, message, elapsedMs } = await rejectionOf(bridge, cookie)
    expect({ code, message }).toEqual({ code: TIMEOUT, message: 'connecting to the database took longer than 1000 ms' })
    expect(elapsedMs).toBeLessThan(1000 + SLACK_MS)
    proxy.disturb(undefined)
    await expectSessions(bridge)
    proxy.close()
  })
})

test('no more connections allowed: the existing one serves all calls', async () => {
  await execute(`CREATE ROLE lonely LOGIN PASSWORD 'lonely' CONNECTION LIMIT 1`)
  await execute('GRANT SELECT ON sessions, users TO lonely')
  const bridge = connect(server.url({ user: 'lonely', password: 'lonely' }))
  await bridge.getSession(cookie)
  await asSuperuser(async (client) => {
    await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
    const calls: Promise<{ session_id?: string }>[] = []
    for (let round = 0; round < 20; round++) {
      for (let call = 0; call < 50; call++) calls.push(bridge.getSession(cookie))
      await sleep(5)
    }
    await client.query('ROLLBACK')
    const bodies = await Promise.all(calls)
    expect(bodies.map((body) => body.session_id)).toEqual(Array(1000).fill(session.session_id))
  })
})

test('a new connection that never opens: the existing ones serve all calls meanwhile', async () => {
  const proxy = await startProxy(server.port)
  const bridge = connect(server.url({ port: proxy.port }), { connectTimeout: 2000, callTimeout: 8000 })
  await bridge.getSession(cookie)
  proxy.disturbNew({ delayMs: 600_000 })
  await asSuperuser(async (client) => {
    await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
    const calls = [bridge.getSession(cookie)]
    await sleep(50)
    // Makes the bridge open another connection.
    calls.push(bridge.getSession(cookie))
    await expect.poll(() => proxy.connections()).toBe(2)
    await client.query('ROLLBACK')
    await Promise.all(calls)
  })
  expect(bridge.stats().pool).toMatchObject({ size: 1, inUse: 0 })
  for (let round = 0; round < 10; round++) await expectSessions(bridge)
  expect(bridge.stats().calls.failed).toBe(0)
  proxy.close()
})

test('a row that makes the query fail only fails its own calls', async () => {
  await execute('CREATE DATABASE spoilt')
  await fill('spoilt')
  const other = await asSuperuser(async (client) => {
    const other = await createSession(client, user)
    // For this user the view's column fails.
    const spoilt = await createUser(client)
    const its = await createSession(client, spoilt)
    await client.query('ALTER TABLE users RENAME TO people')
    await client.query(`CREATE VIEW users AS SELECT tenant, user_id,
      CASE user_id WHEN '${spoilt.user_id}' THEN (1 / (random() * 0)::int)::text ELSE user_type END AS user_type FROM people`)
    return [other, its].map(({ session_id, tenant, user_id }) => ({ ...user, session_id, tenant, user_id }))
  }, 'spoilt')
  const cookies = await Promise.all(
    [session, ...other].map((row) =>
      mintCookie(claimsOf({ ...user, tenant: row.tenant, user_id: row.user_id }, { ...session, ...row }), {
        secret: SECRET,
      }),
    ),
  )
  const bridge = connect(server.url({ database: 'spoilt' }), { maxConnections: 1 })
  await bridge.getSession(cookies[0])
  const calls = Array.from({ length: 60 }, (_, index) => bridge.getSession(cookies[index % 3]))
  const outcomes = await Promise.allSettled(calls)
  for (const [index, outcome] of outcomes.entries()) {
    if (index % 3 === 2) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: DATABASE } })
      expect((outcome as PromiseRejectedResult).reason.message).toMatch(/division by zero.*22012/)
    } else {
      const { session_id } = index % 3 === 0 ? session : other[0]
      expect(outcome).toMatchObject({ status: 'fulfilled', value: { session_id } })
    }
  }
  expect(bridge.stats().batches.max).toBeGreaterThan(1)
})

describe('a connection that the network swallowed, with connect_timeout=40: the calls after it are answered', () => {
  const startSilent = async () => {
    const proxy = await startProxy(server.port)
    proxy.disturbNew({ delayMs: 600_000 })
    return proxy
  }
  const limits = { queryTimeout: QUICK.queryTimeout, callTimeout: 3000 }

  test('on another one, which is tried beside it', async () => {
    const proxy = await startSilent()
    const bridge = open(`${server.url({ port: proxy.port })}?connect_timeout=40`, limits)
    const first = bridge.getSession(cookie)
    await expect.poll(() => proxy.connections()).toBe(1)
    proxy.disturbNew(undefined)
    expect((await first).session_id).toBe(session.session_id)
    await expectSessions(bridge)
    proxy.close()
  })

  test('by the next attempt, where only one connection may be', async () => {
    const proxy = await startSilent()
    const bridge = open(`${server.url({ port: proxy.port })}?connect_timeout=40`, { ...limits, maxConnections: 1 })
    const first = rejectionOf(bridge, cookie)
    await expect.poll(() => proxy.connections()).toBe(1)
    proxy.disturbNew(undefined)
    await expectSessions(bridge)
    const { code, message } = await first
    expect({ code, message }).toEqual({
      code: TIMEOUT,
      message: expect.stringMatching(/^connecting .* (2699|2700) ms$/),
    })
    proxy.close()
  })
})

test.each([2, 600])(
  '%i rows for one session are an error of its own calls: no connection ends, nothing is asked again',
  async (rows) => {
    const database = `memberships_${rows}`
    await execute(`CREATE DATABASE ${database}`)
    await fill(database)
    const [other, its] = await asSuperuser(async (client) => {
      const member = await createUser(client)
      const created = [
        { user, row: await createSession(client, user) },
        { user: member, row: await createSession(client, member) },
      ]
      await client.query(`ALTER TABLE users RENAME TO accounts;
      CREATE VIEW users AS SELECT accounts.* FROM accounts, generate_series(1, ${rows}) AS membership
      WHERE membership = 1 OR user_id = '${member.user_id}'`)
      return Promise.all(created.map(({ user, row }) => mintCookie(claimsOf(user, row), { secret: SECRET })))
    }, database)
    for (const options of [{}, { sharded: true }, { preparedStatements: false }]) {
      const bridge = connect(server.url({ database }), { maxConnections: 1, ...options })
      await bridge.getSession(cookie)
      for (const cookies of [[its], Array.from({ length: 64 }, (_, index) => [cookie, other, its][index % 3])]) {
        const calls = cookies.map((each) =>
          bridge.getSession(each).then(
            () => 'live',
            ({ message }) => message,
          ),
        )
        expect(await Promise.all(calls)).toEqual(
          cookies.map((each) => (each === its ? expect.stringMatching(/more than one row for a session/) : 'live')),
        )
      }
      expect(bridge.stats().pool.connects).toBe(1)
    }
  },
)

test('rows that all make the query fail: a few queries, not one for each', async () => {
  await execute('CREATE DATABASE ruined')
  await fill('ruined')
  const cookies = await asSuperuser(async (client) => {
    const rows = []
    for (let row = 0; row < 200; row++) rows.push(await createSession(client, user))
    // The query fails at the first row, and the sequence counts the queries.
    await client.query(`
      CREATE SEQUENCE queries;
      ALTER TABLE users RENAME TO people;
      CREATE VIEW users AS SELECT tenant, user_id, (nextval('queries') / (random() * 0)::int)::text AS user_type FROM people`)
    return Promise.all(rows.map((row) => mintCookie(claimsOf(user, row), { secret: SECRET })))
  }, 'ruined')
  const bridge = connect(server.url({ database: 'ruined' }), { maxConnections: 1 })
  const outcomes = await Promise.allSettled(cookies.map((each) => bridge.getSession(each)))
  expect(new Set(outcomes.map((outcome) => (outcome as PromiseRejectedResult).reason?.code))).toEqual(
    new Set([DATABASE]),
  )
  // A batch is split at most fourteen times, and each half is a query.
  const { count, max } = bridge.stats().batches
  expect(max).toBeGreaterThan(50)
  const { rows } = await asSuperuser((client) => client.query('SELECT last_value FROM queries'), 'ruined')
  expect(Number(rows[0].last_value)).toBeLessThanOrEqual(count * (1 + 2 * 14))
})

describe('faults under load', () => {
  interface Fault {
    /** Codes that calls may reject with meanwhile; if empty, no call may fail. */
    errors: string[]
    strike: (bridge: AuthBridge) => Promise<unknown>
    options?: AuthBridgeOptions
  }
  const terminate = () =>
    execute(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'authjs-bridge'`)

  const faults: Record<string, Fault> = {
    'every connection ended by an administrator, once': { errors: [], strike: terminate },
    'every connection ended by an administrator, again and again': {
      errors: [DATABASE],
      strike: async () => {
        for (let round = 0; round < 20; round++) {
          await terminate()
          await sleep(20)
        }
      },
    },
    'connections that are replaced all the time': {
      errors: [],
      strike: async (bridge) => {
        const { connects } = bridge.stats().pool
        await expect.poll(() => bridge.stats().pool.connects).toBeGreaterThan(connects + 20)
      },
      options: { maxLifetime: 20, idleTimeout: 10 },
    },
    'immediate shutdown and restart': {
      errors: [DATABASE],
      strike: async () => {
        await server.stop('immediate')
        await sleep(300)
        await server.start()
      },
    },
    'fast shutdown and restart': {
      errors: [DATABASE],
      strike: async () => {
        await server.stop()
        await server.start()
      },
    },
    'a column added, an index built': {
      errors: [],
      strike: async () => {
        await execute('ALTER TABLE sessions ADD COLUMN note text')
        await execute('CREATE INDEX CONCURRENTLY note ON sessions (note)')
      },
    },
    'a column dropped that is not read': {
      errors: [],
      strike: () => execute('ALTER TABLE sessions DROP COLUMN location_data'),
    },
    'a column dropped that is read, and added again': {
      errors: [DATABASE],
      strike: async () => {
        await execute('ALTER TABLE sessions DROP COLUMN expires_at')
        await sleep(100)
        await execute('ALTER TABLE sessions ADD COLUMN expires_at timestamptz')
      },
    },
    'the table locked for longer than a query may take': {
      errors: [TIMEOUT],
      strike: () =>
        asSuperuser(async (client) => {
          await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
          await sleep(3000)
          await client.query('ROLLBACK')
        }),
    },
  }

  const frozen: Record<string, Fault> = {
    'the postmaster stopped and continued': {
      errors: [],
      strike: async () => {
        server.signal('SIGSTOP')
        const late = connect(server.url(), { maxConnections: 1 })
        const { code, message } = await rejectionOf(late, cookie)
        server.signal('SIGCONT')
        expect({ code, message }).toEqual({
          code: TIMEOUT,
          message: 'connecting to the database took longer than 1000 ms',
        })
        await expectSessions(late)
        await late.close()
      },
    },
    'the whole server stopped and continued': {
      errors: [DATABASE, TIMEOUT],
      strike: async () => {
        server.signal('SIGSTOP', { connections: true })
        await sleep(4000)
        server.signal('SIGCONT', { connections: true })
      },
    },
  }

  const all = { ...faults, ...(HAS_PROC ? frozen : {}) }
  test.each(Object.entries(all))('%s', async (_, { errors, strike, options }) => {
    const maxConnections = 5
    const bridge = connect(server.url(), { maxConnections, ...options })
    const load = startLoad(bridge, sessions)
    await load.answers()
    await strike(bridge)
    await load.answers()
    const outcomes = await load.stop()
    expect(outcomes.wrong).toBe(0)
    expect(Object.keys(outcomes.errors).filter((code) => !errors.includes(code))).toEqual([])
    expect(outcomes.slowestMs).toBeLessThan(QUICK.callTimeout + SLACK_MS)
    const { calls, pool } = bridge.stats()
    expect(calls.pending).toBe(0)
    expect(calls.authenticated + calls.unauthenticated).toBe(outcomes.answered)
    expect(calls.failed).toBe(Object.values(outcomes.errors).reduce((sum, count) => sum + count, 0))
    expect(pool.size).toBeLessThanOrEqual(maxConnections)
    await expect.poll(() => asSuperuser((client) => connections(client))).toBeLessThanOrEqual(maxConnections)
    await expectSessions(bridge)
  })
})

describe('behind a network', () => {
  let proxy: Awaited<ReturnType<typeof startProxy>>
  let bridge: AuthBridge
  beforeEach(async () => {
    proxy = await startProxy(server.port)
    bridge = connect(server.url({ port: proxy.port }))
    await openConnections(bridge, 3)
    expect(proxy.connections()).toBe(3)
  })
  afterEach(() => proxy.close())

  test('prepared statements discarded: no call fails', async () => {
    await proxy.inject('DISCARD ALL')
    await expectSessions(bridge)
  })

  test('a reply is cut in the middle: no call fails, retried on a new connection', async () => {
    proxy.disturb('cut')
    await expectSessions(bridge)
  })

  test('every reply is cut in the middle: rejects at once, and succeeds afterwards', async () => {
    proxy.disturb('cut', { always: true })
    const { code, elapsedMs } = await rejectionOf(bridge, cookie)
    expect(code).toBe(DATABASE)
    expect(elapsedMs).toBeLessThan(SLACK_MS)
    proxy.disturb(undefined)
    await expectSessions(bridge)
  })

  test('the rest of a reply never arrives: one call fails for all connections', async () => {
    proxy.disturb('swallow')
    const { code, elapsedMs } = await rejectionOf(bridge, cookie)
    expect(code).toBe(TIMEOUT)
    expect(elapsedMs).toBeLessThan(QUICK.queryTimeout + SLACK_MS)
    await expectSessions(bridge)
  })

  test('connections that no longer transfer anything: one call fails for all of them', async () => {
    proxy.swallow()
    expect((await rejectionOf(bridge, cookie)).code).toBe(TIMEOUT)
    await expectSessions(bridge)
  })

  test('the same with a callTimeout below the queryTimeout', async () => {
    const brief = connect(server.url({ port: proxy.port }), { queryTimeout: 60_000, callTimeout: 1000 })
    await openConnections(brief, 2)
    proxy.swallow()
    expect((await rejectionOf(brief, cookie)).code).toBe(TIMEOUT)
    await expectSessions(brief)
  })

  test('a query that is given up costs its own connection only, where the others answer', async () => {
    const bridge = connect(server.url({ port: proxy.port }), { queryTimeout: 4000, callTimeout: 10_000 })
    await openConnections(bridge, 3)
    await asSuperuser(async (client) => {
      await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
      expect((await rejectionOf(bridge, cookie)).code).toBe(TIMEOUT)
      await client.query('ROLLBACK')
    })
    await openConnections(bridge, 2)
    await expect.poll(() => bridge.stats().pool).toMatchObject({ size: 2, connects: 3 })
  })

  describe('connections that are idle', () => {
    const idleTimeout = 300
    const openIdle = async (count: number, options: AuthBridgeOptions = {}) => {
      const patient = { queryTimeout: 10_000, callTimeout: 20_000 }
      const bridge = connect(server.url({ port: proxy.port }), { ...patient, idleTimeout, ...options })
      await openConnections(bridge, count)
      return bridge
    }

    test('are closed without a call, but for one, which is used again', async () => {
      const bridge = await openIdle(4)
      await expect.poll(() => proxy.connections()).toBe(3 + 1)
      expect(bridge.stats().pool).toMatchObject({ size: 1, inUse: 0, connects: 4 })
      await sleep(2 * idleTimeout)
      await bridge.getSession(cookie)
      expect(bridge.stats().pool).toMatchObject({ size: 1, connects: 4 })
      await openConnections(bridge, 3)
      await expect.poll(() => proxy.connections()).toBe(3 + 1)
    })

    test('stay open with idleTimeout: 0', async () => {
      const bridge = await openIdle(4, { idleTimeout: 0 })
      await sleep(2 * idleTimeout)
      expect(bridge.stats().pool).toMatchObject({ size: 4, connects: 4 })
    })

    test('and were dropped without a word: no call fails', async () => {
      const bridge = await openIdle(1)
      await sleep(idleTimeout)
      proxy.swallow()
      await bridge.getSession(cookie)
      expect(bridge.stats().pool).toMatchObject({ size: 1, connects: 2, connectFailures: 0 })
    })
  })

  test.each<[string, string, AuthBridgeOptions, number]>([
    ['an option', '', { maxLifetime: 100 }, 2],
    ['the URL', '?max_lifetime=1', {}, 2],
    ['the URL, never', '?max_lifetime=0', {}, 1],
  ])('a connection is replaced after its lifetime: %s', async (_, parameters, options, connects) => {
    const brief = connect(server.url() + parameters, options)
    await brief.getSession(cookie)
    await sleep(1000)
    await brief.getSession(cookie)
    expect(brief.stats().pool.connects).toBe(connects)
  })

  test('replies after 10 s, with the default limits: rejects after 5 s, and never takes a late reply for another', async () => {
    const patient = open(server.url({ port: proxy.port }))
    await expectSessions(patient)
    proxy.disturb({ delayMs: 10_000 })
    const { code, message, elapsedMs } = await rejectionOf(patient, cookie)
    expect({ code, message }).toEqual({ code: TIMEOUT, message: 'the session query took longer than 5000 ms' })
    expect(elapsedMs).toBeLessThan(5000 + SLACK_MS)
    await expectSessions(patient)
  })

  /** Opens connections by calls that wait for a lock, one after the other, so that each needs a connection. */
  async function openConnections(bridge: AuthBridge, count: number) {
    // Two, since pg_stat_activity doesn't change within a transaction.
    await asSuperuser((watcher) =>
      asSuperuser(async (client) => {
        await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
        const calls: Promise<unknown>[] = []
        for (let number = 1; number <= count; number++) {
          calls.push(bridge.getSession(cookie))
          // Often, so that all wait before the first has waited for too long.
          const waiting = () => connections(watcher, `AND wait_event_type = 'Lock'`)
          await expect.poll(waiting, { interval: 5 }).toBe(number)
        }
        await client.query('ROLLBACK')
        await Promise.all(calls)
      }),
    )
  }
})
