// Sessions are started, listed and ended through PgBouncer in transaction mode, which gives each transaction any of two connections.

import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AuthBridgeOptions } from '../../index.js'
import { useBridges } from '../support/bridges.js'
import { QUICK, withClient } from '../support/faults.js'
import { startPgBouncer } from '../support/pgbouncer.mjs'
import { startPostgres } from '../support/postgres.mjs'
import { createTables } from '../support/tenants.mjs'

const FULL = 'ERR_AUTH_BRIDGE_TOO_MANY_SESSIONS'

let server: Awaited<ReturnType<typeof startPostgres>>
let pooler: Awaited<ReturnType<typeof startPgBouncer>>
beforeAll(async () => {
  server = await startPostgres()
  pooler = await startPgBouncer(server.url())
  await withClient(server.url(), createTables)
})
afterAll(async () => {
  await pooler.stop()
  await server.dispose()
})

const open = useBridges()
const connect = (options: AuthBridgeOptions = {}) =>
  open(server.url({ port: pooler.port }), { ...QUICK, preparedStatements: false, userCheck: 'none', ...options })
const owner = () => ({ tenant: randomUUID(), userId: randomUUID() })
const inTransaction = () =>
  withClient(server.url(), async (client) => {
    const { rows } = await client.query(`SELECT query FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'`)
    return rows
  })

test.each([false, true])('sessions start, are listed, end, and are deleted; sharded: %s', async (sharded) => {
  const [bridge, user] = [connect({ sharded }), owner()]
  const start = async (more = {}) => (await bridge.createSession({ ...user, userAgent: 'curl/8', ...more })).sessionId
  const [first, second] = [await start(), await start({ columns: { device_fingerprint: 'f' } })]
  await expect(start({ maxSessions: 2, whenFull: 'refuse' })).rejects.toMatchObject({ code: FULL })
  const third = await start({ maxSessions: 2 })
  expect((await bridge.listSessions(user)).map(({ sessionId }) => sessionId)).toEqual([third, second])
  expect(await bridge.revokeSession({ ...user, sessionId: first })).toBe(false)
  expect(await bridge.revokeSession({ ...user, sessionId: third, reason: 'lost' })).toBe(true)
  await start()
  expect(await bridge.revokeOtherSessions({ ...user, sessionId: second })).toBe(1)
  expect(await bridge.revokeSessions(user)).toBe(1)
  await start()
  expect(await bridge.revokeTenantSessions({ tenant: user.tenant })).toBe(1)
  expect(await bridge.deleteEndedSessions({ before: new Date(Date.now() + 60_000) })).toBe(5)
  expect(await inTransaction()).toEqual([])
})

describe('limits are exact, although clients share connections and outnumber them', () => {
  test.each(['revoke-oldest', 'refuse'] as const)('%s', async (whenFull) => {
    const [bridges, user] = [[connect(), connect({ maxConnections: 9 }), connect({ sharded: true })], owner()]
    const calls = Array.from({ length: 60 }, (_, index) =>
      bridges[index % 3]?.createSession({ ...user, maxSessions: 5, whenFull }),
    )
    const codes = (await Promise.allSettled(calls)).flatMap((call) =>
      call.status === 'rejected' ? [call.reason.code] : [],
    )
    expect(codes).toEqual(Array(whenFull === 'refuse' ? 55 : 0).fill(FULL))
    expect(await bridges[0]?.listSessions(user)).toHaveLength(5)
    expect(await inTransaction()).toEqual([])
  })
})

test('a time limit that ends in a transaction leaves none behind', async () => {
  const [bridge, user] = [connect({ queryTimeout: 300 }), owner()]
  await bridge.createSession(user)
  await withClient(server.url(), async (client) => {
    await client.query('BEGIN; LOCK TABLE sessions IN SHARE MODE')
    const call = bridge.createSession({ ...user, maxSessions: 1 })
    await expect(call).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_OUTCOME_UNKNOWN' })
    await client.query('ROLLBACK')
  })
  await expect.poll(inTransaction).toEqual([])
  await bridge.createSession({ ...user, maxSessions: 1 })
  expect(await bridge.listSessions(user)).toHaveLength(1)
})
