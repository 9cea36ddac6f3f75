// The promise of `maxStaleness` in several real processes, while sessions are revoked: a call that starts `maxStaleness` after the
// commit never gets the session. To run more: CACHE_CALLS=1000000 npx vitest run cache-processes.

import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { SECRET } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { startProcess } from './support/processes.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const CALLS = Number(process.env.CACHE_CALLS ?? 100_000)
const PROCESSES = 4
const SESSIONS = 400
const STALENESS = 250

const database = useDatabase()
const now = () => Number(process.hrtime.bigint()) / 1e6

interface Revocation {
  index: number
  /** When it had been committed, for sure. */
  at: number
  /** The process that did it by the API. */
  by: number | undefined
}

test('in several processes, while sessions are revoked by SQL and by the API', {
  timeout: 600_000,
}, async () => {
  const user = await createUser(database.client)
  const sessions = await Promise.all(Array.from({ length: SESSIONS }, () => createSession(database.client, user)))
  const cookies = await Promise.all(sessions.map((session) => mintCookie(claimsOf(user, session), { secret: SECRET })))
  const options = { secret: SECRET, databaseUrl: database.url, secureCookie: false, maxStaleness: STALENESS }
  const processes = await Promise.all(Array.from({ length: PROCESSES }, () => startProcess(options)))
  // So that the process which is frozen has something to wake up with. The monotonic clock runs on meanwhile, unlike in a machine that
  // sleeps: that has its test beside `src/store/cache.rs`.
  await Promise.all(processes.map((each) => each.readMany(cookies, 2 * SESSIONS)))
  const revocations: Revocation[] = []
  let isReading = true
  const read = Promise.all(processes.map((each) => each.readMany(cookies, CALLS / PROCESSES)))
  const reading = read.finally(() => {
    isReading = false
  })
  const [frozen] = processes
  if (frozen) {
    process.kill(frozen.pid, 'SIGSTOP')
    setTimeout(() => process.kill(frozen.pid, 'SIGCONT'), 2 * STALENESS)
  }
  for (const [index, { tenant, session_id }] of sessions.entries()) {
    // The last ones live on.
    if (!isReading || index >= 0.9 * SESSIONS) break
    const by = index % 2 === 0 ? undefined : 1 + (index % (PROCESSES - 1))
    if (by === undefined) {
      await database.client.query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [session_id])
    } else {
      await processes[by]?.call('revokeSession', { tenant, userId: user.user_id, sessionId: session_id })
    }
    revocations.push({ index, at: now(), by })
    await sleep(5)
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
  // So answers were kept, and it matters for how long.
  expect(revocations.length).toBeGreaterThan(10)
  expect(late).toBeGreaterThan(0)
  for (const { cache } of results) expect(cache.hits).toBeGreaterThan(cache.misses / 10)
})
