// The promise of `maxStaleness` in several real processes, while sessions are revoked: a call that starts `maxStaleness` after the
// commit never gets the session. To run more: CACHE_CALLS=1000000 npx vitest run cache-processes.

import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import type { AuthBridgeOptions } from '../index.js'
import { SECRET } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { withClient } from './support/faults.js'
import { CAN_FREEZE } from './support/platform.js'
import { startPostgres, startStandby } from './support/postgres.mjs'
import { startProcess } from './support/processes.js'
import { claimsOf, createSession, createUser, createWatchedTables } from './support/tenants.mjs'

const CALLS = Number(process.env.CACHE_CALLS ?? 100_000)
const PROCESSES = 4
const STALENESS = 250
/** Which part of the sessions is revoked, at most. */
const REVOKED = 0.9

const database = useDatabase(createWatchedTables)
const now = () => Number(process.hrtime.bigint()) / 1e6

interface Revocation {
  index: number
  /** When it had been committed, for sure. */
  at: number
  /** The process that did it by the API. */
  by: number | undefined
}

interface Setting extends AuthBridgeOptions {
  databaseUrl: string
  sessionCount: number
  /** The statements of others. */
  query: (sql: string, values: unknown[]) => Promise<unknown>
  /** Called when half of the sessions are revoked. Then the processes read until all are. */
  half?: () => Promise<unknown>
}

/** Checks the promise for each revocation, and returns what the processes have read. */
async function revokeUnderLoad(client: pg.Client, { sessionCount, query, half, ...more }: Setting) {
  const user = await createUser(client)
  const sessions = []
  for (let count = 0; count < sessionCount; count++) sessions.push(await createSession(client, user))
  const cookies = await Promise.all(sessions.map((session) => mintCookie(claimsOf(user, session), { secret: SECRET })))
  const options = { secret: SECRET, secureCookie: false, maxStaleness: STALENESS, ...more }
  const processes = await Promise.all(Array.from({ length: PROCESSES }, () => startProcess(options)))
  // So that the process which is frozen has something to wake up with. The monotonic clock runs on meanwhile, unlike in a machine that
  // sleeps: that has its test beside `src/store/cache.rs`.
  await Promise.all(processes.map((each) => each.readMany(cookies, 2 * sessionCount)))
  const revocations: Revocation[] = []
  let isReading = true
  const read = Promise.all(processes.map((each) => each.readMany(cookies, half ? Infinity : CALLS / PROCESSES)))
  const reading = read.finally(() => {
    isReading = false
  })
  const [frozen] = processes
  if (frozen && CAN_FREEZE) {
    process.kill(frozen.pid, 'SIGSTOP')
    setTimeout(() => process.kill(frozen.pid, 'SIGCONT'), 2 * STALENESS)
  }
  for (const [index, { tenant, session_id }] of sessions.entries()) {
    if (!isReading || index >= REVOKED * sessionCount) break
    if (index === (REVOKED / 2) * sessionCount) await half?.()
    const by = index % 2 === 0 ? undefined : 1 + (index % (PROCESSES - 1))
    if (by === undefined) {
      await query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [session_id])
    } else {
      await processes[by]?.call('revokeSession', { tenant, userId: user.user_id, sessionId: session_id })
    }
    revocations.push({ index, at: now(), by })
    await sleep(5)
  }
  if (half) {
    // So that each may be wrong about the last revocation.
    await sleep(2 * STALENESS)
    await Promise.all(processes.map((each) => each.finish()))
  }
  const results = await reading
  await Promise.all(processes.map((each) => each.stop()))

  const wrong: unknown[] = []
  let late = 0
  for (const { index, at, by } of revocations) {
    for (const [place, { lastLive }] of results.entries()) {
      const after = (lastLive[index] ?? 0) - at
      if (after >= (place === by ? 0 : STALENESS)) wrong.push({ index, place, by, after })
      if (after > 0) late++
    }
  }
  expect(wrong).toEqual([])
  // So answers were kept.
  for (const { cache } of results) expect(cache.hits).toBeGreaterThan(cache.misses / 10)
  return { revocations, late, results }
}

const TIMEOUT = { timeout: 600_000 }
const query = (sql: string, values: unknown[]) => database.client.query(sql, values)

test('in several processes, while sessions are revoked by SQL and by the API', TIMEOUT, async () => {
  const { revocations, late, results } = await revokeUnderLoad(database.client, {
    ...{ databaseUrl: database.url, sessionCount: 400 },
    query,
  })
  expect(revocations.length).toBeGreaterThan(10)
  // So it matters for how long answers are kept.
  expect(late).toBeGreaterThan(0)
  for (const { failures } of results) expect(failures).toBe(0)
})

test('the same with listen', TIMEOUT, async () => {
  const setting = { databaseUrl: database.url, listen: true, sessionCount: 400, query }
  const { revocations, results } = await revokeUnderLoad(database.client, setting)
  expect(revocations.length).toBeGreaterThan(10)
  for (const { failures, listener } of results) {
    expect(failures).toBe(0)
    expect(listener).toMatchObject({ listening: true, failures: 0 })
    // The last ones may be on their way.
    expect(listener?.notifications).toBeGreaterThan(0)
  }
})

test('the same with a failover to a standby', TIMEOUT, async () => {
  const primary = await startPostgres()
  onTestFinished(() => primary.dispose())
  await withClient(primary.url(), createWatchedTables)
  const standby = await startStandby(primary)
  onTestFinished(() => standby.dispose())
  let server = primary
  const execute = (sql: string, values: unknown[] = []) =>
    withClient(server.url(), (client) => client.query(sql, values))

  async function failOver() {
    // What is committed but not yet sent would be lost, as would any other.
    const behind = 'SELECT FROM pg_stat_replication WHERE replay_lsn < pg_current_wal_lsn()'
    await expect.poll(async () => (await execute(behind)).rowCount).toBe(0)
    await primary.stop('immediate')
    server = standby
    await execute('SELECT pg_promote()')
    await expect.poll(async () => (await execute('SELECT pg_is_in_recovery() AS is')).rows[0].is).toBe(false)
  }

  await withClient(primary.url(), async (client) => {
    const both = primary.url().replace(`:${primary.port}`, `:${primary.port},127.0.0.1:${standby.port}`)
    const { revocations, results } = await revokeUnderLoad(client, {
      databaseUrl: `${both}?target_session_attrs=read-write`,
      ...{ listen: true, sessionCount: 100 },
      query: execute,
      half: failOver,
    })
    expect(revocations.length).toBe(90)
    for (const { listener } of results) {
      expect(listener?.listening).toBe(true)
      expect(listener?.failures).toBeGreaterThan(0)
    }
  })
})
