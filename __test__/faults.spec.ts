// Whatever the database or the network does: each call ends in time, with the right answer or an error that says what is
// wrong, and when the database is back, so are we.

import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AuthBridge, AuthBridgeOptions } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { connections, QUICK, refusal, SLACK_MS, withClient } from './support/faults.js'
import { startLoad } from './support/load.mjs'
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

/** The tables, with the one user and session of this file. */
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
const several = (bridge: AuthBridge) => Promise.all(Array.from({ length: 20 }, () => bridge.getSession(cookie)))
async function expectAnswers(bridge: AuthBridge) {
  const bodies = await several(bridge)
  expect(bodies.map((body) => body.session_id)).toEqual(Array(20).fill(session.session_id))
}

describe('the database cannot be asked: rejects at once, never {}; once that is mended, the next call succeeds', () => {
  interface Case {
    url: () => string | Promise<string>
    message: RegExp
    /** Absent where nothing can be mended on this machine. */
    mend?: () => Promise<unknown>
  }
  let port: number
  const late: { close(): void }[] = []
  afterAll(() => {
    for (const proxy of late) proxy.close()
  })

  const cases: Record<string, Case> = {
    'nothing listens': {
      url: async () => {
        port = await freePort()
        return server.url({ port })
      },
      message: /^cannot connect to the database: 127\.0\.0\.1:\d+: .*refused/,
      mend: async () => late.push(await startProxy(server.port, port)),
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
      mend: () => execute(`ALTER ROLE forgetful PASSWORD 'hunter2'`),
    },
    'wrong database': {
      url: () => server.url({ database: 'nowhere' }),
      message: /database "nowhere" does not exist.*3D000/,
      mend: async () => {
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
      mend: () => execute('GRANT SELECT ON sessions, users TO stranger'),
    },
    'tables missing': {
      url: async () => {
        await execute('CREATE DATABASE empty')
        return server.url({ database: 'empty' })
      },
      message: /relation "sessions" does not exist.*42P01/,
      mend: () => fill('empty'),
    },
    'a column missing': {
      url: async () => {
        await execute('ALTER TABLE sessions RENAME revoked_at TO gone')
        return server.url()
      },
      message: /s\.revoked_at.*42703/,
      mend: () => execute('ALTER TABLE sessions RENAME gone TO revoked_at'),
    },
    'a column of another type': {
      url: async () => {
        await execute('CREATE DATABASE texts')
        await fill('texts')
        await asSuperuser((client) => client.query('ALTER TABLE users ALTER user_id TYPE text'), 'texts')
        await asSuperuser(
          (client) => client.query('ALTER TABLE sessions ALTER user_id TYPE text USING user_id::text'),
          'texts',
        )
        return server.url({ database: 'texts' })
      },
      message: /sessions\.user_id is not of the type that schema\.sql gives it, but text/,
      mend: () =>
        asSuperuser(async (client) => {
          await client.query('ALTER TABLE users ALTER user_id TYPE uuid USING user_id::uuid')
          await client.query('ALTER TABLE sessions ALTER user_id TYPE uuid USING user_id::uuid')
        }, 'texts'),
    },
    'connection slots used up': {
      url: async () => {
        await execute(`CREATE ROLE narrow LOGIN PASSWORD 'narrow' CONNECTION LIMIT 0`)
        await execute('GRANT SELECT ON sessions, users TO narrow')
        return server.url({ user: 'narrow', password: 'narrow' })
      },
      message: /too many connections for role "narrow".*53300/,
      mend: () => execute('ALTER ROLE narrow CONNECTION LIMIT 1'),
    },
    'TLS required, server without it': {
      url: () => `${server.url()}?sslmode=require`,
      message: /server does not support TLS/,
    },
  }
  test.each(Object.entries(cases))('%s', async (_, { url, message, mend }) => {
    const bridge = connect(await url())
    const { code, message: told, elapsedMs } = await refusal(bridge, cookie)
    expect(code).toBe(DATABASE)
    expect(told).toMatch(message)
    expect(told).not.toContain('hunter2')
    expect(elapsedMs).toBeLessThan(SLACK_MS)
    expect(await bridge.getSession('theme=dark')).toEqual({})
    await mend?.()
    if (mend) await expectAnswers(bridge)
    expect(bridge.stats().calls.pending).toBe(0)
  })

  test('a proxy that refuses our settings: the error says what to set', async () => {
    const proxy = createServer((client) => client.once('data', () => client.end(refusalOfSettings())))
    proxy.listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    const { port } = proxy.address() as AddressInfo
    const url = `postgres://u@127.0.0.1:${port}/d?sslmode=disable`
    const advice = 'set the option preparedStatements: false'
    const { code, message } = await refusal(connect(url), cookie)
    expect({ code, message }).toEqual({ code: DATABASE, message: expect.stringContaining(advice) })
    // Who has done so is not told to.
    const told = await refusal(connect(url, { preparedStatements: false }), cookie)
    expect(told.message).toContain('0A000')
    expect(told.message).not.toContain(advice)
    proxy.close()
  })

  /** As RDS Proxy says it: message `E` of the PostgreSQL protocol. */
  function refusalOfSettings() {
    const fields = Buffer.from('SFATAL\0VFATAL\0C0A000\0MFeature not supported\0\0')
    const length = Buffer.alloc(4)
    length.writeInt32BE(fields.length + 4)
    return Buffer.concat([Buffer.from('E'), length, fields])
  }

  test('200 calls at once, each with its error', async () => {
    const bridge = connect(`postgres://u@127.0.0.1:${await freePort()}/d`)
    const outcomes = await Promise.allSettled(Array.from({ length: 200 }, () => bridge.getSession(cookie)))
    const codes = outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : 'resolved'))
    expect(codes).toEqual(Array(200).fill(DATABASE))
    expect(bridge.stats().errors[DATABASE]).toBe(200)
  })
})

describe('a bound for each wait', () => {
  test('a query that takes too long: the server ends it, and the next call has another connection', async () => {
    const bridge = connect(server.url())
    await asSuperuser(async (client) => {
      await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
      const { code, message, elapsedMs } = await refusal(bridge, cookie)
      expect({ code, message }).toEqual({ code: TIMEOUT, message: 'the session query took longer than 1000 ms' })
      expect(elapsedMs).toBeGreaterThan(990)
      expect(elapsedMs).toBeLessThan(1000 + SLACK_MS)
      // The server was told to end it, though the lock is still there.
      await expect.poll(() => connections(client, `AND wait_event_type = 'Lock'`)).toBe(0)
      await client.query('ROLLBACK')
    })
    await expectAnswers(bridge)
  })

  test('the whole call, when the query may take longer', async () => {
    const bridge = connect(server.url(), { queryTimeout: 60_000, callTimeout: 300 })
    await asSuperuser(async (client) => {
      await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
      const { code, message, elapsedMs } = await refusal(bridge, cookie)
      expect({ code, message }).toEqual({ code: TIMEOUT, message: 'the session check took longer than 300 ms' })
      expect(elapsedMs).toBeLessThan(300 + SLACK_MS)
      await expect.poll(() => connections(client, `AND wait_event_type = 'Lock'`)).toBe(0)
      await client.query('ROLLBACK')
    })
    await expectAnswers(bridge)
  })

  test('statement_timeout of the server, where our word does not get through', async () => {
    const proxy = await startProxy(server.port)
    const bridge = connect(server.url({ port: proxy.port }))
    await expectAnswers(bridge)
    await asSuperuser(async (client) => {
      await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
      const refused = refusal(bridge, cookie)
      await expect.poll(() => asSuperuser((watcher) => connections(watcher, `AND wait_event_type = 'Lock'`))).toBe(1)
      proxy.close()
      expect((await refused).code).toBe(DATABASE)
      await expect.poll(() => asSuperuser((watcher) => connections(watcher))).toBe(0)
      await client.query('ROLLBACK')
    })
  })

  test('calls that wait: more than maxWaiting are rejected at once', async () => {
    const bridge = connect(server.url(), { maxWaiting: 10, maxConnections: 1 })
    await bridge.getSession(cookie)
    await asSuperuser(async (client) => {
      await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
      const inFlight = bridge.getSession(cookie)
      await expect.poll(() => asSuperuser((watcher) => connections(watcher, `AND wait_event_type = 'Lock'`))).toBe(1)
      const waiting = Array.from({ length: 10 }, () => bridge.getSession(cookie))
      const { code, message, elapsedMs } = await refusal(bridge, cookie)
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

  test('a server that takes connections and says nothing', async () => {
    const proxy = await startProxy(server.port)
    proxy.disturb({ delayMs: 600_000 }, { always: true })
    const bridge = connect(server.url({ port: proxy.port }))
    const { code, message, elapsedMs } = await refusal(bridge, cookie)
    expect({ code, message }).toEqual({ code: TIMEOUT, message: 'connecting to the database took longer than 1000 ms' })
    expect(elapsedMs).toBeLessThan(1000 + SLACK_MS)
    proxy.disturb(undefined)
    await expectAnswers(bridge)
    proxy.close()
  })
})

test('no more connections to be had: the one that is there serves all', async () => {
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

test('a new connection that does not come: those that are there serve all meanwhile', async () => {
  const proxy = await startProxy(server.port)
  const bridge = connect(server.url({ port: proxy.port }), { connectTimeout: 2000, callTimeout: 8000 })
  await bridge.getSession(cookie)
  proxy.disturbNew({ delayMs: 600_000 })
  await asSuperuser(async (client) => {
    await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
    const calls = [bridge.getSession(cookie)]
    await sleep(50)
    // For this one another connection is tried.
    calls.push(bridge.getSession(cookie))
    await expect.poll(() => proxy.connections()).toBe(2)
    await client.query('ROLLBACK')
    await Promise.all(calls)
  })
  expect(bridge.stats().pool).toMatchObject({ size: 1, inUse: 0 })
  for (let round = 0; round < 10; round++) await expectAnswers(bridge)
  expect(bridge.stats().calls.failed).toBe(0)
  proxy.close()
})

test('one row that spoils the query for all costs only its own calls', async () => {
  await execute('CREATE DATABASE spoilt')
  await fill('spoilt')
  const other = await asSuperuser(async (client) => {
    const other = await createSession(client, user)
    // The type of this one user can't be computed.
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
  const limits = { connectTimeout: undefined, callTimeout: 3000 }

  test('on another one, which is tried beside it', async () => {
    const proxy = await startSilent()
    const bridge = connect(`${server.url({ port: proxy.port })}?connect_timeout=40`, limits)
    const first = bridge.getSession(cookie)
    await expect.poll(() => proxy.connections()).toBe(1)
    proxy.disturbNew(undefined)
    expect((await first).session_id).toBe(session.session_id)
    await expectAnswers(bridge)
    proxy.close()
  })

  test('by the next attempt, where only one connection may be', async () => {
    const proxy = await startSilent()
    const bridge = connect(`${server.url({ port: proxy.port })}?connect_timeout=40`, { ...limits, maxConnections: 1 })
    const first = refusal(bridge, cookie)
    await expect.poll(() => proxy.connections()).toBe(1)
    proxy.disturbNew(undefined)
    await expectAnswers(bridge)
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

test('rows that all spoil the query: the server is asked a few times, not once for each', async () => {
  await execute('CREATE DATABASE ruined')
  await fill('ruined')
  const cookies = await asSuperuser(async (client) => {
    const rows = []
    for (let row = 0; row < 200; row++) rows.push(await createSession(client, user))
    // It fails at the first row, and counts how often.
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
  // A query for 200 is halved fourteen times at most, and each half is a query.
  const { count, max } = bridge.stats().batches
  expect(max).toBeGreaterThan(50)
  const { rows } = await asSuperuser((client) => client.query('SELECT last_value FROM queries'), 'ruined')
  expect(Number(rows[0].last_value)).toBeLessThanOrEqual(count * (1 + 2 * 14))
})

describe('faults under load', () => {
  /** Errors that calls may have meanwhile; without any, none may fail. */
  interface Fault {
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
    'the postmaster stopped and continued': {
      errors: [],
      strike: async () => {
        server.signal('SIGSTOP')
        const late = connect(server.url(), { maxConnections: 1 })
        const { code, message } = await refusal(late, cookie)
        server.signal('SIGCONT')
        expect({ code, message }).toEqual({
          code: TIMEOUT,
          message: 'connecting to the database took longer than 1000 ms',
        })
        await expectAnswers(late)
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

  test.each(Object.entries(faults))('%s', async (_, { errors, strike, options }) => {
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
    await expectAnswers(bridge)
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
    await expectAnswers(bridge)
  })

  test('an answer is cut in its middle: no call fails, asked again on a new connection', async () => {
    proxy.disturb('cut')
    await expectAnswers(bridge)
  })

  test('every answer is cut in its middle: rejects at once, and answers after it', async () => {
    proxy.disturb('cut', { always: true })
    const { code, elapsedMs } = await refusal(bridge, cookie)
    expect(code).toBe(DATABASE)
    expect(elapsedMs).toBeLessThan(SLACK_MS)
    proxy.disturb(undefined)
    await expectAnswers(bridge)
  })

  test('an answer is swallowed from its middle on: one call pays for all connections', async () => {
    proxy.disturb('swallow')
    const { code, elapsedMs } = await refusal(bridge, cookie)
    expect(code).toBe(TIMEOUT)
    expect(elapsedMs).toBeLessThan(QUICK.queryTimeout + SLACK_MS)
    await expectAnswers(bridge)
  })

  test('connections swallowed by the network: one call pays for all of them', async () => {
    proxy.swallow()
    expect((await refusal(bridge, cookie)).code).toBe(TIMEOUT)
    await expectAnswers(bridge)
  })

  test('the same where the call ends before its query may', async () => {
    const brief = connect(server.url({ port: proxy.port }), { queryTimeout: 60_000, callTimeout: 1000 })
    await openConnections(brief, 2)
    proxy.swallow()
    expect((await refusal(brief, cookie)).code).toBe(TIMEOUT)
    await expectAnswers(brief)
  })

  test('a query that is given up costs its own connection only, where the others answer', async () => {
    const bridge = connect(server.url({ port: proxy.port }), { queryTimeout: 4000, callTimeout: 10_000 })
    await openConnections(bridge, 3)
    await asSuperuser(async (client) => {
      await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
      expect((await refusal(bridge, cookie)).code).toBe(TIMEOUT)
      await client.query('ROLLBACK')
    })
    await openConnections(bridge, 2)
    expect(bridge.stats().pool).toMatchObject({ size: 2, connects: 3 })
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

  test('answers after 10 s, by the default limits: rejects after 5 s, and never takes a late answer for another', async () => {
    const patient = open(server.url({ port: proxy.port }))
    await expectAnswers(patient)
    proxy.disturb({ delayMs: 10_000 })
    const { code, message, elapsedMs } = await refusal(patient, cookie)
    expect({ code, message }).toEqual({ code: TIMEOUT, message: 'the session query took longer than 5000 ms' })
    expect(elapsedMs).toBeLessThan(5000 + SLACK_MS)
    await expectAnswers(patient)
  })

  /** Calls that wait for a lock, one after the other: each takes a connection of its own. */
  async function openConnections(bridge: AuthBridge, count: number) {
    await asSuperuser(async (client) => {
      await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
      const calls: Promise<unknown>[] = []
      for (let number = 1; number <= count; number++) {
        calls.push(bridge.getSession(cookie))
        // In a transaction of its own: in this one pg_stat_activity doesn't change any more.
        const waiting = () => asSuperuser((watcher) => connections(watcher, `AND wait_event_type = 'Lock'`))
        await expect.poll(waiting).toBe(number)
      }
      await client.query('ROLLBACK')
      await Promise.all(calls)
    })
  }
})
