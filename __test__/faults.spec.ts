import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AuthBridge } from '../index.js'
import { mintCookie } from './support/cookies.mjs'
import { freePort, startPostgres } from './support/postgres.mjs'
import { startProxy } from './support/proxy.js'
import { claimsOf, createSession, createTables, createUser } from './support/tenants.mjs'

const SECRET = 'the secret of the test, 32 bytes'

let server: Awaited<ReturnType<typeof startPostgres>>
let cookie: string
let sessionId: string

async function asSuperuser<T>(run: (client: pg.Client) => Promise<T>) {
  const client = new pg.Client(server.url())
  client.on('error', () => {})
  await client.connect()
  try {
    return await run(client)
  } finally {
    await client.end()
  }
}

/** How many connections of ours the server has. */
async function connections(client: pg.Client, condition = '') {
  const ours = `SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'authjs-bridge' ${condition}`
  return (await client.query(ours)).rows[0].count
}

beforeAll(async () => {
  server = await startPostgres({ max_connections: '30' })
  await asSuperuser(async (client) => {
    await createTables(client)
    await client.query(`CREATE ROLE stranger LOGIN PASSWORD 'stranger'`)
    const user = await createUser(client)
    const session = await createSession(client, user)
    sessionId = session.session_id
    cookie = await mintCookie(claimsOf(user, session), { secret: SECRET })
  })
})
afterAll(() => server.dispose())

const open: AuthBridge[] = []
afterEach(() => Promise.all(open.splice(0).map((bridge) => bridge.close())))
function connect(databaseUrl: string) {
  const bridge = new AuthBridge({ secret: SECRET, databaseUrl })
  open.push(bridge)
  return bridge
}

describe('the database cannot be asked: rejects, never {}', () => {
  const DATABASE = 'ERR_AUTH_BRIDGE_DATABASE'
  const cases: [string, () => string | Promise<string>, RegExp][] = [
    [
      'nothing listens',
      async () => `postgres://u:hunter2@127.0.0.1:${await freePort()}/d`,
      /127\.0\.0\.1:\d+: .*refused/,
    ],
    ['unknown host', () => 'postgres://u:hunter2@host.invalid/d', /host\.invalid:5432: /],
    ['wrong password', () => server.url({ password: 'hunter2' }), /password authentication failed.*28P01/],
    ['wrong database', () => server.url({ database: 'nowhere' }), /database "nowhere" does not exist.*3D000/],
    [
      'no right to read',
      () => server.url({ user: 'stranger', password: 'stranger' }),
      /permission denied for table sessions.*42501/,
    ],
    ['tables missing', () => server.url({ database: 'template1' }), /relation "sessions" does not exist.*42P01/],
    ['TLS required, server without it', () => `${server.url()}?sslmode=require`, /TLS/],
  ]
  test.each(cases)('%s', async (_, url, message) => {
    const bridge = connect(await url())
    const error = await bridge.getSession(cookie).then(
      (body) => ({ body }),
      (error) => error,
    )
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ code: DATABASE, message: expect.stringMatching(message) })
    expect(error.message).not.toContain('hunter2')
    expect(await bridge.getSession('theme=dark')).toEqual({})
  })

  test('200 calls at once, each with its error', async () => {
    const bridge = connect(`postgres://u@127.0.0.1:${await freePort()}/d`)
    const outcomes = await Promise.allSettled(Array.from({ length: 200 }, () => bridge.getSession(cookie)))
    const codes = outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : 'resolved'))
    expect(new Set(codes)).toEqual(new Set([DATABASE]))
  })

  test('a column missing: the message names it', async () => {
    await asSuperuser((client) => client.query('ALTER TABLE sessions RENAME revoked_at TO gone'))
    const bridge = connect(server.url())
    const refused = bridge.getSession(cookie)
    await expect(refused).rejects.toMatchObject({ code: DATABASE, message: expect.stringContaining('s.revoked_at') })
    await asSuperuser((client) => client.query('ALTER TABLE sessions RENAME gone TO revoked_at'))
    expect((await bridge.getSession(cookie)).session_id).toBe(sessionId)
  })

  test('a query that takes too long: its own code, and the next call has another connection', async () => {
    const bridge = connect(server.url())
    await asSuperuser(async (client) => {
      await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
      await expect(bridge.getSession(cookie)).rejects.toMatchObject({
        code: 'ERR_AUTH_BRIDGE_TIMEOUT',
        message: 'the session query took longer than 5000 ms',
      })
      // The server was told to end it, though the lock is still there.
      await expect.poll(() => connections(client, `AND wait_event_type = 'Lock'`)).toBe(0)
      await client.query('ROLLBACK')
    })
    expect((await bridge.getSession(cookie)).session_id).toBe(sessionId)
  })
})

test('no more connections to be had: the one that is there serves all', async () => {
  await asSuperuser((client) =>
    client.query(
      `CREATE ROLE lonely LOGIN PASSWORD 'lonely' CONNECTION LIMIT 1; GRANT SELECT ON sessions, users TO lonely`,
    ),
  )
  const bridge = connect(server.url({ user: 'lonely', password: 'lonely' }))
  await bridge.getSession(cookie)
  await asSuperuser(async (client) => {
    await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
    const calls: Promise<{ session_id?: string }>[] = []
    for (let round = 0; round < 20; round++) {
      for (let call = 0; call < 50; call++) calls.push(bridge.getSession(cookie))
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await client.query('ROLLBACK')
    const bodies = await Promise.all(calls)
    expect(bodies.map((body) => body.session_id)).toEqual(Array(1000).fill(sessionId))
  })
})

describe('the database is back: so are we', () => {
  test('after its end and start', async () => {
    const bridge = connect(server.url())
    expect((await bridge.getSession(cookie)).session_id).toBe(sessionId)
    await server.stop()
    await expect(bridge.getSession(cookie)).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_DATABASE' })
    await server.start()
    expect((await bridge.getSession(cookie)).session_id).toBe(sessionId)
  })

  test('started after the bridge', async () => {
    await server.stop()
    const bridge = connect(server.url())
    await expect(bridge.getSession(cookie)).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_DATABASE' })
    await server.start()
    expect((await bridge.getSession(cookie)).session_id).toBe(sessionId)
  })

  /** Calls that wait for a lock, one after the other: each takes a connection of its own. */
  async function openConnections(bridge: AuthBridge) {
    await asSuperuser(async (client) => {
      await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
      const calls: Promise<unknown>[] = []
      for (const number of [1, 2, 3]) {
        calls.push(bridge.getSession(cookie))
        // In a transaction of its own: in this one pg_stat_activity doesn't change any more.
        const waiting = () => asSuperuser((watcher) => connections(watcher, `AND wait_event_type = 'Lock'`))
        await expect.poll(waiting).toBe(number)
      }
      await client.query('ROLLBACK')
      await Promise.all(calls)
    })
  }
  const several = (bridge: AuthBridge) => Promise.all(Array.from({ length: 20 }, () => bridge.getSession(cookie)))
  const all = Array(20).fill(undefined)

  test('connections ended by the server: no call fails', async () => {
    const bridge = connect(server.url())
    await openConnections(bridge)
    await asSuperuser((client) =>
      client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'authjs-bridge'`),
    )
    expect((await several(bridge)).map((body) => body.session_id)).toEqual(all.fill(sessionId))
  })

  describe('behind a proxy', () => {
    let proxy: Awaited<ReturnType<typeof startProxy>>
    let bridge: AuthBridge
    beforeEach(async () => {
      proxy = await startProxy(server.port)
      bridge = connect(server.url().replace(`:${server.port}/`, `:${proxy.port}/`))
      await openConnections(bridge)
    })
    afterEach(() => proxy.close())

    test('prepared statements discarded: no call fails', async () => {
      expect(proxy.connections()).toBe(3)
      await proxy.inject('DISCARD ALL')
      expect((await several(bridge)).map((body) => body.session_id)).toEqual(all.fill(sessionId))
    })

    test('connections swallowed by the network: one call pays for all of them', async () => {
      expect(proxy.connections()).toBe(3)
      proxy.swallow()
      await expect(bridge.getSession(cookie)).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_TIMEOUT' })
      expect((await several(bridge)).map((body) => body.session_id)).toEqual(all.fill(sessionId))
    })
  })
})

test('close lets the calls in flight have their answer, and ends every connection', async () => {
  const bridge = connect(server.url())
  const calls = Array.from({ length: 50 }, () => bridge.getSession(cookie))
  const closed = bridge.close()
  await expect(bridge.getSession(cookie)).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_CLOSED' })
  const bodies = await Promise.all(calls)
  expect(bodies.map((body) => body.session_id)).toEqual(Array(50).fill(sessionId))
  await closed
  await expect.poll(() => asSuperuser((client) => connections(client))).toBe(0)
})
