// Writes under faults: each is done once or not at all, and the error code says what is known. They wait for locks of others no longer
// than `queryTimeout`, and reads go on meanwhile.

import { createHash, randomUUID } from 'node:crypto'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AuthBridge, AuthBridgeOptions } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { QUICK, SLACK_MS, withClient } from './support/faults.js'
import { startLoad } from './support/load.mjs'
import { startPostgres, startStandby } from './support/postgres.mjs'
import { startProxy } from './support/proxy.js'
import { claimsOf, createSession, createTables, createUser } from './support/tenants.mjs'

const UNKNOWN = 'ERR_AUTH_BRIDGE_OUTCOME_UNKNOWN'
const TIMEOUT = 'ERR_AUTH_BRIDGE_TIMEOUT'
const SHORT = { ...QUICK, queryTimeout: 400 }

const database = useDatabase()
const open = useBridges()
const connect = (options: AuthBridgeOptions = {}, url = database.url) => open(url, { secureCookie: false, ...options })

interface Place {
  owner: { tenant: string; userId: string }
  cookie: string
  kept: string
}
interface Write {
  call: (bridge: AuthBridge, place: Place) => Promise<unknown>
  /** What it resolves to. */
  answer: unknown
  /** Without a fault: how many rows the user has afterwards, of the three before, and how many are live. */
  rows: number
  live: number
}

const CREATED = { sessionId: expect.any(String), expiresAt: expect.any(String) }
/** Each on a user with two live sessions, and one that has ended. */
const WRITES: Record<string, Write> = {
  createSession: { call: (it, { owner }) => it.createSession(owner), answer: CREATED, rows: 4, live: 3 },
  'createSession, the oldest ends': {
    ...{ call: (it, { owner }) => it.createSession({ ...owner, maxSessions: 2 }), answer: CREATED, rows: 4, live: 2 },
  },
  'createSession, or none': {
    call: (it, { owner }) => it.createSession({ ...owner, maxSessions: 3, whenFull: 'refuse' }),
    ...{ answer: CREATED, rows: 4, live: 3 },
  },
  revokeSession: {
    call: (it, { owner, kept }) => it.revokeSession({ ...owner, sessionId: kept }),
    ...{ answer: true, rows: 3, live: 1 },
  },
  revokeOtherSessions: {
    call: (it, { owner, kept }) => it.revokeOtherSessions({ ...owner, sessionId: kept }),
    ...{ answer: 1, rows: 3, live: 1 },
  },
  revokeSessions: { call: (it, { owner }) => it.revokeSessions(owner), answer: 2, rows: 3, live: 0 },
  revokeTenantSessions: {
    call: (it, { owner: { tenant } }) => it.revokeTenantSessions({ tenant }),
    ...{ answer: 2, rows: 3, live: 0 },
  },
  deleteEndedSessions: {
    call: (it) => it.deleteEndedSessions({ before: new Date(Date.now() - 1e6) }),
    ...{ answer: 1, rows: 2, live: 2 },
  },
}
const writes = Object.entries(WRITES)

async function makePlace(client = database.client): Promise<Place> {
  const user = await createUser(client)
  await createSession(client, user, { expires_at: new Date(Date.now() - 1e7) })
  const other = await createSession(client, user)
  await client.query(`UPDATE sessions SET last_activity_at = now() - interval '1 hour' WHERE session_id = $1`, [
    other.session_id,
  ])
  const session = await createSession(client, user)
  const cookie = await mintCookie(claimsOf(user, session), { secret: SECRET })
  return { owner: { tenant: user.tenant, userId: user.user_id }, cookie, kept: session.session_id }
}
async function rowsOf({ owner }: Place, client = database.client) {
  const { rows } = await client.query(
    `SELECT count(*)::int AS rows, count(*) FILTER (WHERE revoked_at IS NULL AND coalesce(expires_at > now(), true))::int AS live
     FROM sessions WHERE tenant = $1`,
    [owner.tenant],
  )
  return rows[0] as { rows: number; live: number }
}
const BEFORE = { rows: 3, live: 2 }
beforeEach(() => database.client.query('DELETE FROM sessions'))

/** Our connections that wait for a lock. */
const WAITING = `FROM pg_stat_activity WHERE application_name = 'authjs-bridge' AND wait_event_type = 'Lock'
  AND datname = current_database()`
const waiting = async () => (await database.client.query(`SELECT count(*)::int ${WAITING}`)).rows[0].count as number
/** Holds locks in a transaction while `run` runs, or until it calls `release`. */
const whileLocked = <T>(lock: string, run: (release: () => Promise<unknown>, holder: pg.Client) => Promise<T>) =>
  withClient(database.url, async (holder) => {
    await holder.query(`BEGIN; ${lock}`)
    const result = await run(() => holder.query('ROLLBACK'), holder)
    await holder.query('ROLLBACK')
    return result
  })
/** Keeps out what writes, and nothing that reads. */
const NO_WRITES = 'LOCK TABLE sessions IN SHARE MODE'
/** The lock of sign-ins of one user. */
function signInLock({ owner: { tenant, userId } }: Place) {
  const hash = createHash('sha256').update(`authjs-bridge\0${tenant}\0${userId}`).digest()
  return `SELECT pg_advisory_xact_lock(${hash.readBigInt64BE()})`
}
const rowLock = ({ owner: { tenant } }: Place) => `SELECT * FROM sessions WHERE tenant = '${tenant}' FOR UPDATE`
const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    ({ code }) => code as string,
  )
async function timed<T>(call: Promise<T>) {
  const began = performance.now()
  return { result: await call, ms: performance.now() - began }
}
/** No connection of ours is left in a transaction. */
const inTransaction = async () =>
  (
    await database.client.query(
      `SELECT state, query FROM pg_stat_activity WHERE application_name = 'authjs-bridge' AND datname = current_database()
       AND state LIKE 'idle in transaction%'`,
    )
  ).rows

describe('a connection that breaks', () => {
  let proxy: Awaited<ReturnType<typeof startProxy>>
  let viaProxy: string
  beforeEach(async () => {
    const url = new URL(database.url)
    proxy = await startProxy(Number(url.port))
    url.port = String(proxy.port)
    viaProxy = url.href
  })
  afterEach(() => proxy.close())

  /** Makes the same call once for each reply of the server: `disturb` is told how many to spare. */
  async function atEachReply(
    write: Write,
    disturb: (spared: number) => void,
    check: (place: Place, call: Promise<unknown>) => Promise<void>,
  ) {
    const bridge = connect({ ...SHORT, maxConnections: 1 }, viaProxy)
    // Afterwards the statements are known and prepared.
    await write.call(bridge, await makePlace())
    for (let spared = 0; ; spared++) {
      // A new connection, if the last one was cut.
      await write.call(bridge, await makePlace())
      const place = await makePlace()
      const before = proxy.disturbed()
      disturb(spared)
      const call = write.call(bridge, place)
      await call.catch(() => {})
      proxy.disturb(undefined)
      if (proxy.disturbed() === before) {
        await expect(call).resolves.toEqual(write.answer)
        return spared
      }
      await check(place, call)
    }
  }

  test.each(writes)('once, at any of its answers: %s is done once', async (_, write) => {
    const disturb = (spared: number) => proxy.disturb('cut', { spared })
    const replies = await atEachReply(write, disturb, async (place, call) => {
      const { rows, live } = write
      // What ended before the answer was lost isn't counted again.
      const answer = typeof write.answer === 'object' ? write.answer : expect.toBeOneOf([write.answer, 0, false])
      await expect(call).resolves.toEqual(answer)
      expect(await rowsOf(place)).toEqual({ rows, live })
    })
    expect(replies).toBeGreaterThan(0)
  })

  test.each(writes)('each time: %s rejects, and is done once or not at all', async (_, write) => {
    const disturb = (spared: number) => proxy.disturb('cut', { spared, always: true })
    await atEachReply(write, disturb, async (place, call) => {
      expect(await codeOf(call)).toBe(UNKNOWN)
      const { rows, live } = write
      expect([{ rows, live }, BEFORE]).toContainEqual(await rowsOf(place))
    })
  })

  test.each(writes)('without a word: %s rejects within queryTimeout, and is not repeated', async (_, write) => {
    const bridge = connect({ ...SHORT, queryTimeout: 250, maxConnections: 1 }, viaProxy)
    await write.call(bridge, await makePlace())
    const place = await makePlace()
    proxy.swallow()
    const { result, ms } = await timed(codeOf(write.call(bridge, place)))
    expect(result).toBe(UNKNOWN)
    expect(ms).toBeLessThan(SHORT.queryTimeout + SLACK_MS)
    expect(await rowsOf(place)).toEqual(BEFORE)
    // The next call gets a new connection.
    await expect(write.call(bridge, place)).resolves.toEqual(write.answer)
  })
})

describe('a server process that is terminated', () => {
  const terminate = async () => {
    await expect.poll(waiting, { interval: 5 }).toBe(1)
    const { rows } = await database.client.query(`SELECT pid, pg_terminate_backend(pid) ${WAITING}`)
    const isThere = async () =>
      (await database.client.query('SELECT FROM pg_stat_activity WHERE pid = $1', [rows[0].pid])).rowCount
    await expect.poll(isThere, { interval: 5 }).toBe(0)
  }

  test.each(writes)('once: %s is done once', async (_, write) => {
    const place = await makePlace()
    const bridge = connect(QUICK)
    await whileLocked(NO_WRITES, async (release) => {
      const call = write.call(bridge, place)
      await terminate()
      await expect.poll(waiting, { interval: 5 }).toBe(1)
      await release()
      await expect(call).resolves.toEqual(write.answer)
    })
    const { rows, live } = write
    expect(await rowsOf(place)).toEqual({ rows, live })
  })

  test.each(writes)('twice: %s rejects', async (_, write) => {
    const place = await makePlace()
    await whileLocked(NO_WRITES, async () => {
      const call = codeOf(write.call(connect(QUICK), place))
      await terminate()
      await terminate()
      expect(await call).toBe(UNKNOWN)
    })
    expect(await rowsOf(place)).toEqual(BEFORE)
  })

  test('a query that somebody cancels is not repeated, and is known not to be done', async () => {
    for (const [, write] of writes) {
      await database.client.query('DELETE FROM sessions')
      const place = await makePlace()
      const bridge = connect({ ...QUICK, maxConnections: 1 })
      await whileLocked(NO_WRITES, async () => {
        const call = codeOf(write.call(bridge, place))
        await expect.poll(waiting, { interval: 5 }).toBe(1)
        await database.client.query(`SELECT pg_cancel_backend(pid) ${WAITING}`)
        expect(await call).toBe(TIMEOUT)
        expect(await bridge.getSession(place.cookie)).toHaveProperty('session_id', place.kept)
      })
      expect(await rowsOf(place)).toEqual(BEFORE)
      expect(await inTransaction()).toEqual([])
    }
  })
})

test('a deletion that fails leaves nothing behind that later reads wait for', async () => {
  const [place] = [await makePlace(), await makePlace(), await makePlace(), await makePlace()]
  const bridge = connect({ ...SHORT, maxConnections: 1 })
  await whileLocked(NO_WRITES, async () => {
    // A statement for each tenant.
    const call = codeOf(bridge.deleteEndedSessions({ before: new Date() }))
    await expect.poll(waiting, { interval: 5 }).toBe(1)
    await database.client.query(`SELECT pg_cancel_backend(pid) ${WAITING}`)
    expect(await call).toBe(UNKNOWN)
    expect(await bridge.getSession(place.cookie)).toHaveProperty('session_id', place.kept)
  })
})

describe('locks of other transactions', () => {
  /** Which lock each of them waits for. */
  const locks: [string, (place: Place) => string][] = [
    ['createSession, the oldest ends', signInLock],
    ['createSession, or none', signInLock],
    ['createSession, the oldest ends', rowLock],
    ...['revokeSession', 'revokeSessions', 'deleteEndedSessions'].map(
      (name) => [name, rowLock] as [string, typeof rowLock],
    ),
    ['createSession', () => NO_WRITES],
  ]

  test.each(locks)('%s waits no longer than queryTimeout, and reads go on', async (name, lock) => {
    const write = WRITES[name] as Write
    const bridge = connect({ ...SHORT, maxConnections: 2 })
    const place = await makePlace()
    await bridge.getSession(place.cookie)
    await whileLocked(lock(place), async () => {
      let isSettled = false
      const call = timed(codeOf(write.call(bridge, place).finally(() => (isSettled = true))))
      await expect.poll(waiting, { interval: 5 }).toBe(1)
      for (let read = 0; read < 5; read++) {
        expect(await bridge.getSession(place.cookie)).toHaveProperty('session_id', place.kept)
      }
      expect(await bridge.listSessions(place.owner)).toHaveLength(2)
      expect((await bridge.refreshSession(place.cookie)).session).toHaveProperty('session_id', place.kept)
      expect(isSettled).toBe(false)
      const { result, ms } = await call
      expect(result).toBe(UNKNOWN)
      expect(ms).toBeLessThan(SHORT.queryTimeout + SLACK_MS)
      // The server was asked to cancel it.
      await expect.poll(waiting).toBe(0)
    })
    expect(await rowsOf(place)).toEqual(BEFORE)
    await expect(write.call(bridge, place)).resolves.toEqual(write.answer)
  })

  test('writes that wait for their turn take no connection, and were surely not done', async () => {
    const bridge = connect({ ...SHORT, callTimeout: 300, maxConnections: 2 })
    const place = await makePlace()
    await whileLocked(rowLock(place), async () => {
      const calls = writes.map(([, { call }]) => codeOf(call(bridge, place)))
      await expect.poll(waiting, { interval: 5 }).toBe(1)
      expect(await bridge.getSession(place.cookie)).toHaveProperty('session_id', place.kept)
      const codes = await Promise.all(calls)
      // The first one needs no lock of a row. The second waits for one; another one can get its turn at the last moment.
      expect(codes.slice(0, 2)).toEqual([undefined, UNKNOWN])
      expect(codes.filter((code) => code === TIMEOUT).length).toBeGreaterThan(4)
    })
    expect(await rowsOf(place)).toEqual({ rows: 4, live: 3 })
  })

  test.each(locks.slice(1, 4))('with one connection, reads wait for %s, at most queryTimeout', async (name, lock) => {
    const write = WRITES[name] as Write
    const bridge = connect({ ...SHORT, maxConnections: 1 })
    const place = await makePlace()
    await bridge.getSession(place.cookie)
    await whileLocked(lock(place), async () => {
      const call = codeOf(write.call(bridge, place))
      await expect.poll(waiting, { interval: 5 }).toBe(1)
      const { result, ms } = await timed(bridge.getSession(place.cookie))
      expect(result).toHaveProperty('session_id', place.kept)
      expect(ms).toBeLessThan(SHORT.queryTimeout + SLACK_MS)
      expect(await call).toBe(UNKNOWN)
    })
  })

  test('a lock that the server refuses leaves no transaction behind', async () => {
    const place = await makePlace()
    const bridge = connect({ maxConnections: 1 }, `${database.url}?options=-c%20lock_timeout%3D50`)
    await whileLocked(signInLock(place), async () => {
      for (const whenFull of ['refuse', 'revoke-oldest'] as const) {
        const call = bridge.createSession({ ...place.owner, maxSessions: 3, whenFull })
        await expect(call).rejects.toMatchObject({
          code: expect.any(String),
          message: expect.stringContaining('55P03'),
        })
        expect(await bridge.getSession(place.cookie)).toHaveProperty('session_id', place.kept)
        expect(await inTransaction()).toEqual([])
      }
    })
    const full = bridge.createSession({ ...place.owner, maxSessions: 1, whenFull: 'refuse' })
    await expect(full).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_TOO_MANY_SESSIONS' })
    expect(await inTransaction()).toEqual([])
    expect(await rowsOf(place)).toEqual(BEFORE)
    expect(bridge.stats().pool.connects).toBe(1)
  })

  test('a deadlock: it is tried again', async () => {
    const place = await makePlace()
    const { rows } = await database.client.query(
      'SELECT session_id FROM sessions WHERE tenant = $1 AND expires_at IS NULL ORDER BY session_id',
      [place.owner.tenant],
    )
    const [first, second] = rows.map(({ session_id }) => `session_id = '${session_id}'`)
    // The one that waits first finds it.
    const bridge = connect({}, `${database.url}?options=-c%20deadlock_timeout%3D50`)
    const change = (which: string | undefined) => `UPDATE sessions SET user_agent = 'x' WHERE ${which}`
    await whileLocked(change(second), async (_, holder) => {
      await holder.query(`SET LOCAL deadlock_timeout = '10s'`)
      const call = bridge.revokeSessions(place.owner)
      await expect.poll(waiting, { interval: 5 }).toBe(1)
      await holder.query(change(first))
      await holder.query('COMMIT')
      expect(await call).toBe(2)
    })
    expect(await rowsOf(place)).toEqual({ rows: 3, live: 0 })
    expect(bridge.stats().pool.connects).toBe(1)
  })
})

describe('with default_transaction_isolation = serializable', () => {
  const serializable = `${database.url}?options=-c%20default_transaction_isolation%3Dserializable`

  test('a write that another one thwarts is tried again, on the same connection', async () => {
    const place = await makePlace()
    const bridge = connect({ maxConnections: 1 }, serializable)
    await whileLocked(`UPDATE sessions SET user_agent = 'x' WHERE session_id = '${place.kept}'`, async (_, holder) => {
      const call = bridge.revokeSessions(place.owner)
      await expect.poll(waiting, { interval: 5 }).toBe(1)
      await holder.query('COMMIT')
      expect(await call).toBe(2)
    })
    expect(bridge.stats().pool.connects).toBe(1)
  })

  test('limits are exact, and nothing fails', async () => {
    const place = await makePlace()
    const bridges = [1, 2, 3].map(() => connect({ maxConnections: 4 }, serializable))
    const calls = Array.from({ length: 60 }, (_, index) => {
      const bridge = bridges[index % 3] as AuthBridge
      return index % 10 === 0
        ? bridge.revokeOtherSessions({ ...place.owner, sessionId: randomUUID() })
        : bridge.createSession({ ...place.owner, maxSessions: 2 })
    })
    await Promise.all(calls)
    expect((await rowsOf(place)).live).toBeLessThanOrEqual(2)
    for (const bridge of bridges) expect(bridge.stats().pool.connects).toBeLessThanOrEqual(4)
  })
})

describe('load', () => {
  test('64 reads in flight do not hold writes back', async () => {
    const bridge = connect({ ...QUICK, maxConnections: 2 })
    const place = await makePlace()
    const load = startLoad(bridge, [{ cookie: place.cookie, sessionId: place.kept }], { inFlight: 64, pauseMs: 0 })
    await load.answers()
    for (let round = 0; round < 20; round++) {
      const { result, ms } = await timed(bridge.createSession({ ...place.owner, maxSessions: 3 }))
      await bridge.revokeSession({ ...place.owner, sessionId: result.sessionId })
      expect(ms).toBeLessThan(QUICK.queryTimeout)
    }
    expect(await load.stop()).toMatchObject({ wrong: 0, errors: {} })
  })

  test('64 writes in flight do not stop reads', async () => {
    const bridge = connect({ ...QUICK, maxConnections: 2 })
    const place = await makePlace()
    let isRunning = true
    let written = 0
    const loops = Array.from({ length: 64 }, async () => {
      while (isRunning) {
        await bridge.createSession({ ...place.owner, loginMethod: 'flood' })
        written++
      }
    })
    for (let read = 0; read < 100 || written < 200; read++) {
      const { result, ms } = await timed(bridge.getSession(place.cookie))
      expect(result).toHaveProperty('session_id', place.kept)
      expect(ms).toBeLessThan(QUICK.queryTimeout)
    }
    isRunning = false
    await Promise.all(loops)
  })

  test('maxWaiting bounds the calls that wait, and they are told at once', async () => {
    const bridge = connect({ ...QUICK, maxWaiting: 3 })
    const place = await makePlace()
    await whileLocked(NO_WRITES, async (release) => {
      const calls = Array.from({ length: 3 }, () => bridge.createSession(place.owner))
      for (const [, { call }] of writes) {
        const more = call(bridge, place)
        await expect(more).rejects.toMatchObject({ code: TIMEOUT, message: expect.stringContaining('(maxWaiting)') })
      }
      expect(await bridge.getSession(place.cookie)).toHaveProperty('session_id', place.kept)
      await release()
      await Promise.all(calls)
    })
    expect(await rowsOf(place)).toEqual({ rows: 6, live: 5 })
  })
})

describe('close', () => {
  async function longDeletion() {
    await database.client.query('DELETE FROM sessions')
    const place = await makePlace()
    await database.client.query(
      `INSERT INTO sessions (tenant, session_id, user_id, expires_at)
       SELECT $1, gen_random_uuid(), $2, now() - interval '1 year' FROM generate_series(1, 3000)`,
      [place.owner.tenant, place.owner.userId],
    )
    const { rows } = await database.client.query(
      'SELECT session_id FROM sessions ORDER BY tenant, session_id OFFSET 1500 LIMIT 1',
    )
    return { place, lock: `SELECT FROM sessions WHERE session_id = '${rows[0].session_id}' FOR UPDATE` }
  }
  const count = async () => (await database.client.query('SELECT count(*)::int FROM sessions')).rows[0].count as number
  const deleteAll = (bridge: AuthBridge) => bridge.deleteEndedSessions({ before: new Date(Date.now() - 1e6) })

  test('ends a long deletion after the part that is at work', async () => {
    const { lock } = await longDeletion()
    const bridge = connect(QUICK)
    await whileLocked(lock, async (release) => {
      const call = codeOf(deleteAll(bridge))
      await expect.poll(waiting, { interval: 5 }).toBe(1)
      const closed = bridge.close()
      await release()
      expect(await call).toBe('ERR_AUTH_BRIDGE_CLOSED')
      await closed
    })
    const left = await count()
    expect(left).toBeGreaterThan(900)
    expect(left).toBeLessThan(1010)
    expect(await deleteAll(connect())).toBeGreaterThan(900)
    expect(await count()).toBe(2)
  })

  test('waits for it no longer than callTimeout', async () => {
    const { lock } = await longDeletion()
    const bridge = connect(SHORT)
    await whileLocked(lock, async () => {
      const call = codeOf(deleteAll(bridge))
      await expect.poll(waiting, { interval: 5 }).toBe(1)
      const { ms } = await timed(bridge.close())
      expect(ms).toBeLessThan(SHORT.callTimeout + SLACK_MS)
      expect(await call).toBe(UNKNOWN)
      await expect.poll(waiting).toBe(0)
    })
  })
})

describe('a standby', () => {
  let primary: Awaited<ReturnType<typeof startPostgres>>
  let standby: Awaited<ReturnType<typeof startStandby>>
  let place: Place
  beforeAll(async () => {
    primary = await startPostgres()
    await withClient(primary.url(), async (client) => {
      await createTables(client)
      place = await makePlace(client)
    })
    standby = await startStandby(primary)
  })
  afterAll(async () => {
    await standby?.dispose()
    await primary?.dispose()
  })

  test.each(writes)('%s says that it takes no writes, and reads go on', async (_, write) => {
    const bridge = connect({ maxConnections: 1 }, standby.url())
    // It may lag behind for a moment.
    await expect.poll(async () => (await bridge.getSession(place.cookie)).session_id).toBe(place.kept)
    await expect(write.call(bridge, place)).rejects.toMatchObject({
      code: 'ERR_AUTH_BRIDGE_READ_ONLY',
      message: expect.stringContaining('let databaseUrl lead to the primary'),
    })
    expect(await bridge.listSessions(place.owner)).toHaveLength(2)
    expect(await bridge.getSession(place.cookie)).toHaveProperty('session_id', place.kept)
    expect(bridge.stats().pool.connects).toBe(1)
  })
})

test.each(writes)('a connection that only reads: %s says so', async (_, write) => {
  const place = await makePlace()
  const bridge = connect({ maxConnections: 1 }, `${database.url}?options=-c%20default_transaction_read_only%3Don`)
  expect(await codeOf(write.call(bridge, place))).toBe('ERR_AUTH_BRIDGE_READ_ONLY')
  expect(await bridge.getSession(place.cookie)).toHaveProperty('session_id', place.kept)
  expect(await rowsOf(place)).toEqual(BEFORE)
})
