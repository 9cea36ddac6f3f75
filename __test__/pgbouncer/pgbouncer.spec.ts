// Tests with a real PgBouncer in transaction mode, whose clients share two connections to the server.

import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AuthBridgeOptions } from '../../index.js'
import { SECRET, useBridges } from '../support/bridges.js'
import { mintCookie } from '../support/cookies.mjs'
import { QUICK, rejectionOf, SLACK_MS, withClient } from '../support/faults.js'
import { startLoad } from '../support/load.mjs'
import { startPgBouncer } from '../support/pgbouncer.mjs'
import { startPostgres } from '../support/postgres.mjs'
import { claimsOf, createSession, createTables, createTriggers, createUser } from '../support/tenants.mjs'

let server: Awaited<ReturnType<typeof startPostgres>>
let pooler: Awaited<ReturnType<typeof startPgBouncer>>
let sessions: Awaited<ReturnType<typeof createSession>>[]
let cookies: string[]

beforeAll(async () => {
  server = await startPostgres()
  pooler = await startPgBouncer(server.url())
  await withClient(server.url(), async (client) => {
    await createTables(client)
    const user = await createUser(client)
    sessions = []
    for (let count = 0; count < 50; count++) sessions.push(await createSession(client, user))
    cookies = await Promise.all(sessions.map((row) => mintCookie(claimsOf(user, row), { secret: SECRET })))
  })
})
afterAll(async () => {
  await pooler.stop()
  await server.dispose()
})

const open = useBridges()
const connect = (options: AuthBridgeOptions, parameters = '', port = pooler.port) =>
  open(server.url({ port }) + parameters, { ...QUICK, ...options })

/** Runs a function while another client sends queries through the same two connections. */
async function withAnotherClient<T>(run: () => Promise<T>) {
  const client = new pg.Client(server.url({ port: pooler.port }))
  client.on('error', () => {})
  await client.connect()
  const done = run()
  let others = 0
  let isDone = false
  const end = () => {
    isDone = true
  }
  done.then(end, end)
  while (!isDone) {
    await client.query('SELECT $1::int AS one', [1])
    others++
  }
  await client.end()
  expect(others).toBeGreaterThan(0)
  return done
}

const UNNAMED: [string, AuthBridgeOptions, string][] = [
  ['preparedStatements: false', { preparedStatements: false }, ''],
  ['pgbouncer=true in the URL', {}, '?pgbouncer=true'],
]

describe.each(UNNAMED)('%s', (_, options, parameters) => {
  test('every call succeeds, in batches and alone, concurrently with another client', async () => {
    const bridge = connect(options, parameters)
    await withAnotherClient(async () => {
      for (let round = 0; round < 40; round++) {
        const count = round % 2 === 0 ? 1 : sessions.length
        const bodies = await Promise.all(cookies.slice(0, count).map((cookie) => bridge.getSession(cookie)))
        const expected = sessions.slice(0, count).map((row) => row.session_id)
        expect(bodies.map((body) => body.session_id)).toEqual(expected)
      }
    })
    expect(bridge.stats().batches.max).toBeGreaterThan(1)
  })

  test('answers the probe of a connection that was idle', async () => {
    const bridge = connect({ ...options, idleTimeout: 50 }, parameters)
    for (let call = 0; call < 3; call++) {
      await bridge.getSession(cookies[0])
      await sleep(100)
    }
    expect(bridge.stats().pool).toMatchObject({ size: 1, connects: 1 })
  })

  test('sets nothing on the connections that others get', async () => {
    await connect(options, parameters).getSession(cookies[0])
    const settings = await withClient(server.url({ port: pooler.port }), (client) =>
      client.query(`SELECT name FROM pg_settings WHERE source = 'session' AND name LIKE '%timeout'`),
    )
    expect(settings.rows).toEqual([])
  })
})

test('a batch of several tenants: a query for each, in unnamed statements', async () => {
  const bridge = connect({ preparedStatements: false, sharded: true })
  const bodies = await Promise.all(cookies.map((cookie) => bridge.getSession(cookie)))
  expect(bodies.map((body) => body.session_id)).toEqual(sessions.map((row) => row.session_id))
})

test('a revoked session is gone at the next call', async () => {
  const bridge = connect({ preparedStatements: false })
  expect((await bridge.getSession(cookies[1])).session_id).toBe(sessions[1].session_id)
  const revoke = (revoked: string) =>
    withClient(server.url(), (client) =>
      client.query(`UPDATE sessions SET revoked_at = ${revoked} WHERE session_id = $1`, [sessions[1].session_id]),
    )
  await revoke('now()')
  expect(await bridge.getSession(cookies[1])).toEqual({})
  await revoke('NULL')
})

test('a query that takes too long is cancelled on the server', async () => {
  const bridge = connect({ preparedStatements: false })
  await withClient(server.url(), async (client) => {
    await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
    expect(await rejectionOf(bridge, cookies[0])).toMatchObject({ code: 'ERR_AUTH_BRIDGE_TIMEOUT' })
    const waiting = `SELECT count(*)::int FROM pg_stat_activity WHERE wait_event_type = 'Lock'`
    await expect.poll(async () => (await client.query(waiting)).rows[0].count).toBe(0)
    await client.query('ROLLBACK')
  })
  expect((await bridge.getSession(cookies[0])).session_id).toBe(sessions[0].session_id)
})

test('a restart of the server behind it, under load', async () => {
  const bridge = connect({ preparedStatements: false })
  const load = startLoad(
    bridge,
    cookies.map((cookie, index) => ({ cookie, sessionId: sessions[index].session_id })),
  )
  await load.answers()
  await server.stop('immediate')
  await sleep(200)
  await server.start()
  await load.answers()
  const outcomes = await load.stop()
  expect(outcomes.wrong).toBe(0)
  const allowed = ['ERR_AUTH_BRIDGE_DATABASE', 'ERR_AUTH_BRIDGE_TIMEOUT']
  expect(Object.keys(outcomes.errors).filter((code) => !allowed.includes(code))).toEqual([])
  expect(outcomes.slowestMs).toBeLessThan(QUICK.callTimeout + SLACK_MS)
})

describe('without the option: the error says which option to set', () => {
  const ADVICE = /preparedStatements: false, or pgbouncer=true in the URL$/

  test('if the pooler refuses settings of the connection', async () => {
    const { code, message } = await rejectionOf(connect({}), cookies[0])
    expect(code).toBe('ERR_AUTH_BRIDGE_DATABASE')
    expect(message).toMatch(/unsupported startup parameter: options.*SQLSTATE 08P01/)
    expect(message).toMatch(ADVICE)
  })

  test('if it ignores them, and prepared statements get lost', async () => {
    const settings = { ignore_startup_parameters: 'options', server_reset_query_always: 1 }
    const lenient = await startPgBouncer(server.url(), settings)
    const bridge = connect({}, '', lenient.port)
    const { code, message } = await rejectionOf(bridge, cookies[0])
    expect(code).toBe('ERR_AUTH_BRIDGE_DATABASE')
    expect(message).toMatch(/prepared statement "\w+" does not exist.*SQLSTATE 26000/)
    expect(message).toMatch(ADVICE)
    await bridge.close()
    await lenient.stop()
  })
})

test('sessions are rolled through it, by unnamed statements', async () => {
  const bridge = connect({ preparedStatements: false })
  const results = await withAnotherClient(() => Promise.all(cookies.map((cookie) => bridge.refreshSession(cookie))))
  expect(results.map(({ session }) => session.session_id)).toEqual(sessions.map(({ session_id }) => session_id))
  expect(results.filter(({ setCookie }) => setCookie.length === 1)).toHaveLength(cookies.length)
  expect(bridge.stats().rolls).toMatchObject({ issued: cookies.length, refused: 0 })
})

describe('listen', () => {
  const LONG = { preparedStatements: false, maxStaleness: 600_000, listen: true }
  const setRevoked = (value: string) =>
    withClient(server.url(), (client) => client.query(`UPDATE sessions SET revoked_at = ${value}`))

  test('through it no notification comes, and the problem says what to set', async () => {
    const bridge = connect(LONG)
    const others = withAnotherClient(() => sleep(3_000))
    for (let call = 0; call < 2; call++) expect(await bridge.getSession(cookies[0])).not.toEqual({})
    expect(bridge.stats().cache.hits).toBe(1)
    await others
    expect(bridge.stats().listener).toMatchObject({
      ...{ listening: false, notifications: 0 },
      problem: expect.stringMatching(
        /^they don't come through, as behind a pooler .* let the option listenUrl lead past it/,
      ),
    })
    expect(bridge.stats().listener?.failures).toBeGreaterThan(0)
  })

  test('past it, by listenUrl, they do', async () => {
    await withClient(server.url(), createTriggers)
    const bridge = connect({ ...LONG, listenUrl: server.url() })
    await bridge.getSession(cookies[0])
    await expect.poll(() => bridge.stats().listener?.listening).toBe(true)
    expect(await bridge.getSession(cookies[0])).not.toEqual({})
    await setRevoked('now()')
    await expect.poll(() => bridge.getSession(cookies[0])).toEqual({})
    await setRevoked('NULL')
    await expect.poll(() => bridge.getSession(cookies[0])).not.toEqual({})
  })
})

describe('an error that no option mends says nothing of the option', () => {
  test.each<[string, Record<string, string | number>, Parameters<typeof server.url>[0], RegExp]>([
    ['a wrong password', {}, { password: 'hunter3' }, /authentication failed/],
    ['a user that there is not', {}, { user: 'stranger' }, /authentication failed|no such user/],
    ['a database that the pooler does not know', {}, { database: 'nowhere' }, /no such database: nowhere/],
    ['no connection left', { max_client_conn: 1 }, {}, /max_client_conn/],
  ])('%s', async (_, settings, parts, words) => {
    const strict = { databases: 'postgres', ignore_startup_parameters: 'options', ...settings }
    const narrow = await startPgBouncer(server.url(), strict)
    const held = new pg.Client(server.url({ port: narrow.port }))
    await held.connect()
    const bridge = open(server.url({ port: narrow.port, ...parts }), QUICK)
    const { code, message } = await rejectionOf(bridge, cookies[0])
    await held.end()
    await narrow.stop()
    expect({ code, message }).toEqual({ code: 'ERR_AUTH_BRIDGE_DATABASE', message: expect.stringMatching(words) })
    expect(message).not.toMatch(/preparedStatements|pgbouncer=true/)
  })
})
