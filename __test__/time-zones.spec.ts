// `expires_at` without a time zone is UTC, as Prisma and Drizzle write it, whatever the time zone of the database. The verdict,
// its explanation and doctor read it in the same way.

import { beforeAll, describe, expect, test } from 'vitest'
import { SECRET, useBridges } from './support/bridges.js'
import { diagnose, MARKERS } from './support/command-line.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { claimsOf, createSession, createTables, createUser } from './support/tenants.mjs'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

const zones = ['America/Los_Angeles', 'Asia/Tokyo', 'UTC']
/** Each type, and how far from now a session ends: a date says so to the day. */
const types: [string, number][] = [
  ['timestamptz', 2 * HOUR_MS],
  ['timestamp', 2 * HOUR_MS],
  ['timestamp(3)', 2 * HOUR_MS],
  ['date', 2 * DAY_MS],
]
const cases = zones.flatMap((zone) => types.map(([type, ms]) => ({ zone, type, ms })))

describe.each(cases)('$type in $zone', ({ zone, type, ms }) => {
  const database = useDatabase(async (client) => {
    await createTables(client)
    await client.query(`ALTER TABLE sessions ALTER expires_at TYPE ${type}`)
    await client.query(`ALTER DATABASE ${client.database} SET timezone = '${zone}'`)
  })
  const open = useBridges()
  const environment = { AUTH_SECRET: MARKERS.secret, DATABASE_URL: database.url }
  let ended: { cookie: string; at: string }
  let live: { cookie: string; at: string; session_id: string }
  let endless: { cookie: string; session_id: string }

  beforeAll(async () => {
    const user = await createUser(database.client)
    const create = async (end: number | null) => {
      const session = await createSession(database.client, user)
      // What such a client writes: the wall clock in UTC. A time with a zone takes it for what it is.
      const at = end === null ? null : new Date(Date.now() + end).toISOString()
      await database.client.query(`SET TimeZone = 'UTC'`)
      await database.client.query('UPDATE sessions SET expires_at = $1::text::timestamptz WHERE session_id = $2', [
        at,
        session.session_id,
      ])
      const cookie = await mintCookie(claimsOf(user, session), { secret: SECRET })
      return { cookie, at: type === 'date' ? `${at?.slice(0, 10)}T00:00:00.000Z` : (at ?? ''), ...session }
    }
    ;[ended, live, endless] = [await create(-ms), await create(ms), await create(null)]
  })

  async function expectVerdicts() {
    for (const sharded of [false, true]) {
      const bridge = open(database.url, { sharded, maxConnections: 1 })
      const cookies = [ended.cookie, live.cookie, endless.cookie]
      const expected = [undefined, live.session_id, endless.session_id]
      for (const [index, cookie] of cookies.entries()) {
        expect((await bridge.getSession(cookie)).session_id).toBe(expected[index])
      }
      const bodies = await Promise.all([...cookies, ...cookies].map((cookie) => bridge.getSession(cookie)))
      expect(bodies.map((body) => body.session_id)).toEqual([...expected, ...expected])
      const explained = await bridge.explainSession(ended.cookie)
      expect(explained.reason).toBe('session-expired')
      const { expiredAt } = explained as { expiredAt?: string }
      expect(Date.parse(String(expiredAt))).toBe(Date.parse(ended.at))
    }
    const { check } = await diagnose({ env: environment })
    expect(check('sessions')?.details).toMatchObject({ live: 2, expired: 1, revoked: 0 })
    return check('columns')
  }

  test('is read as UTC; what doctor advises changes no verdict', async () => {
    const columns = await expectVerdicts()
    const hasZone = type === 'timestamptz'
    expect(columns?.status).toBe(hasZone ? 'ok' : 'warning')
    if (hasZone) return
    expect(columns?.message).toContain('is read as UTC')
    expect(columns?.advice).toMatch(/time zone are the values in\?.*\n.* AT TIME ZONE 'UTC'/)
    // In the database's own time zone, as psql would.
    await database.client.query(`SET TimeZone = '${zone}'`)
    await database.client.query(String(columns?.advice))
    expect((await expectVerdicts())?.status).toBe('ok')
  })
})
