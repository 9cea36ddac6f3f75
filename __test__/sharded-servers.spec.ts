// A distributed setup of PostgreSQL's own: partitions by the hash of the tenant, which are foreign tables on two other servers.

import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AuthBridge } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { withClient } from './support/faults.js'
import { startPostgres } from './support/postgres.mjs'
import { claimsOf, createSession, createTables, createUser } from './support/tenants.mjs'

type Server = Awaited<ReturnType<typeof startPostgres>>
const TABLES = ['sessions', 'users']
const USERS = 12

let router: Server
let shards: Server[]
let people: { cookie: string; session_id: string; shard: number }[]
const open = useBridges()

beforeAll(async () => {
  ;[router, ...shards] = (await Promise.all([startPostgres(), startPostgres(), startPostgres()])) as [
    Server,
    ...Server[],
  ]
  for (const shard of shards) await withClient(shard.url(), createTables)
  await withClient(router.url(), async (client) => {
    await createTables(client)
    await client.query('CREATE EXTENSION postgres_fdw')
    for (const [number, shard] of shards.entries()) {
      const { username, password } = new URL(shard.url())
      const where = `host '127.0.0.1', port '${shard.port}', dbname 'postgres'`
      await client.query(`
        CREATE SERVER shard_${number} FOREIGN DATA WRAPPER postgres_fdw OPTIONS (${where});
        CREATE USER MAPPING FOR CURRENT_USER SERVER shard_${number}
          OPTIONS (user '${username}', password '${decodeURIComponent(password)}')`)
    }
    for (const table of TABLES) {
      const { rows } = await client.query(
        `SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum) AS columns
         FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0`,
        [table],
      )
      await client.query(`DROP TABLE ${table}; CREATE TABLE ${table} (${rows[0].columns}) PARTITION BY HASH (tenant)`)
      for (const number of shards.keys()) {
        await client.query(`CREATE FOREIGN TABLE ${table}_${number} PARTITION OF ${table}
          FOR VALUES WITH (MODULUS ${shards.length}, REMAINDER ${number})
          SERVER shard_${number} OPTIONS (table_name '${table}')`)
      }
    }
    people = []
    for (let count = 0; count < USERS; count++) {
      const user = await createUser(client)
      const columns = { expires_at: new Date(Date.now() + 3_600_000), created_at: new Date(), updated_at: new Date() }
      const session = await createSession(client, user, columns)
      const { rows } = await client.query('SELECT tableoid::regclass::text FROM sessions WHERE tenant = $1', [
        user.tenant,
      ])
      people.push({
        cookie: await mintCookie(claimsOf(user, session), { secret: SECRET, maxAge: 3600 }),
        session_id: session.session_id,
        shard: Number(rows[0].tableoid.at(-1)),
      })
    }
  })
})
afterAll(() => Promise.all([router, ...(shards ?? [])].map((server) => server?.dispose())))

const connect = (options = {}) => open(router.url(), { sharded: true, ...options })
const activityOf = (shard: number, session_id: string) =>
  withClient(shards[shard]?.url() ?? '', async (client) => {
    const { rows } = await client.query('SELECT last_activity_at FROM sessions WHERE session_id = $1', [session_id])
    return rows[0].last_activity_at as Date | null
  })
const all = (bridge: AuthBridge) => Promise.allSettled(people.map(({ cookie }) => bridge.refreshSession(cookie)))

describe('with sharded: true', () => {
  test('sessions of all shards are read, alone and together', async () => {
    expect(new Set(people.map(({ shard }) => shard))).toEqual(new Set([0, 1]))
    const bridge = connect({ maxConnections: 1 })
    for (const { cookie, session_id } of people.slice(0, 3)) {
      expect((await bridge.getSession(cookie)).session_id).toBe(session_id)
    }
    const sessions = await Promise.all(people.map(({ cookie }) => bridge.getSession(cookie)))
    expect(sessions.map(({ session_id }) => session_id)).toEqual(people.map(({ session_id }) => session_id))
  })

  test('and slid where their rows are', async () => {
    const bridge = connect({ maxConnections: 1 })
    const results = await all(bridge)
    expect(bridge.stats().rolls).toEqual({ issued: USERS, held: 0, refused: 0, tooLarge: 0 })
    for (const [index, result] of results.entries()) {
      const { session_id, shard } = people[index] as (typeof people)[number]
      expect(result).toMatchObject({ status: 'fulfilled', value: { session: { session_id } } })
      expect(result.status === 'fulfilled' && result.value.setCookie).toHaveLength(1)
      expect(await activityOf(shard, session_id)).toBeInstanceOf(Date)
    }
  })

  test('while a shard is down, its calls reject, and no cookie is changed; afterwards they go on', async () => {
    const bridge = connect()
    const [stopped] = shards
    await stopped?.stop('immediate')
    const down = await all(bridge)
    for (const [index, { shard }] of people.entries()) {
      if (shard === 0) expect(down[index]).toMatchObject({ reason: { code: 'ERR_AUTH_BRIDGE_DATABASE' } })
    }
    await stopped?.start()
    await expect
      .poll(async () => (await all(bridge)).filter(({ status }) => status === 'rejected').length, { timeout: 10_000 })
      .toBe(0)
  })
})

describe('sessions are started and ended where their rows are', () => {
  type Owner = { tenant: string; userId: string }
  /** Users of each shard, with `count` sessions each. */
  async function makeOwners(bridge: AuthBridge, count = 0) {
    const owners: Owner[][] = [[], []]
    while (owners.some((ofShard) => ofShard.length < 2)) {
      const owner = { tenant: randomUUID(), userId: randomUUID() }
      const { sessionId } = await bridge.createSession(owner)
      const rows = await Promise.all(shards.map((_, shard) => rowsOn(shard, owner)))
      expect(rows.flat()).toMatchObject([{ session_id: sessionId, revoked_at: null }])
      owners[rows.findIndex((found) => found.length > 0)]?.push(owner)
    }
    for (const owner of owners.flat()) {
      for (let started = 1; started < count; started++) await bridge.createSession(owner)
    }
    return owners as [Owner[], Owner[]]
  }
  const rowsOn = (shard: number, { tenant }: Owner) =>
    withClient(shards[shard]?.url() ?? '', async (client) => {
      const { rows } = await client.query('SELECT session_id, revoked_at FROM sessions WHERE tenant = $1', [tenant])
      return rows as { session_id: string; revoked_at: Date | null }[]
    })

  test.each([true, false])('with sharded: %s', async (sharded) => {
    const bridge = connect({ sharded })
    const owners = await makeOwners(bridge, 3)
    for (const owner of owners.flat()) {
      const [newest] = await bridge.listSessions(owner)
      expect(await bridge.listSessions(owner)).toHaveLength(3)
      const limited = (more: object) => bridge.createSession({ ...owner, ...more })
      await expect(limited({ maxSessions: 3, whenFull: 'refuse' })).rejects.toMatchObject({
        code: 'ERR_AUTH_BRIDGE_TOO_MANY_SESSIONS',
      })
      await Promise.all(Array.from({ length: 10 }, () => limited({ maxSessions: 4 })))
      const listed = await bridge.listSessions(owner)
      expect(listed).toHaveLength(4)
      expect(listed.map(({ sessionId }) => sessionId)).not.toContain(newest?.sessionId)
      const [one, other] = listed.map(({ sessionId }) => sessionId) as [string, string]
      expect(await bridge.revokeSession({ ...owner, sessionId: one })).toBe(true)
      expect(await bridge.revokeOtherSessions({ ...owner, sessionId: other, reason: 'others' })).toBe(2)
      expect(await bridge.revokeTenantSessions({ tenant: owner.tenant })).toBe(1)
      expect(await bridge.listSessions(owner)).toEqual([])
    }
    const before = new Date(Date.now() + 60_000)
    expect(await bridge.deleteEndedSessions({ before })).toBe(owners.flat().length * 13)
    for (const [shard, ofShard] of owners.entries()) {
      for (const owner of ofShard) expect(await rowsOn(shard, owner)).toEqual([])
    }
  })

  test('while a shard is down, the others are written as ever', async () => {
    const bridge = connect({ maxConnections: 2 })
    const [[down], [up]] = (await makeOwners(bridge, 2)) as [[Owner], [Owner]]
    const [stopped] = shards
    await stopped?.stop('immediate')
    const calls = (owner: Owner) => [
      () => bridge.createSession(owner),
      () => bridge.createSession({ ...owner, maxSessions: 2 }),
      () => bridge.createSession({ ...owner, maxSessions: 9, whenFull: 'refuse' }),
      () => bridge.listSessions(owner),
      () => bridge.revokeSession({ ...owner, sessionId: randomUUID() }),
      () => bridge.revokeOtherSessions({ ...owner, sessionId: randomUUID() }),
      () => bridge.revokeSessions(owner),
      () => bridge.revokeTenantSessions({ tenant: owner.tenant }),
    ]
    // The router's connection to the shard breaks in the first of these calls; later ones can't make another.
    const [first, ...later] = calls(down)
    await expect(first?.()).rejects.toMatchObject({ code: expect.stringMatching(/DATABASE|OUTCOME_UNKNOWN/) })
    for (const call of later) await expect(call()).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_DATABASE' })
    for (const call of calls(up)) await expect(call()).resolves.toBeDefined()
    const deletion = () => bridge.deleteEndedSessions({ before: new Date(Date.now() + 60_000) })
    await expect(deletion()).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_DATABASE' })
    expect(await bridge.listSessions(up)).toEqual([])
    await stopped?.start()
    await expect.poll(() => bridge.listSessions(down).catch(() => []), { timeout: 10_000 }).toHaveLength(2)
    for (const call of calls(down)) await expect(call()).resolves.toBeDefined()
    expect(await bridge.listSessions(down)).toEqual([])
    expect(await deletion()).toBeGreaterThan(4)
  })
})

test('without it, all sessions are read and slid by one statement', async () => {
  const bridge = connect({ sharded: false, maxConnections: 1 })
  const results = await all(bridge)
  expect(results.map((result) => result.status === 'fulfilled' && result.value.session.session_id)).toEqual(
    people.map(({ session_id }) => session_id),
  )
  expect(bridge.stats().rolls).toEqual({ issued: USERS, held: 0, refused: 0, tooLarge: 0 })
})
