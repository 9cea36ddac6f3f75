// Sliding under load and faults: no revoked row is slid, no cookie is issued without a slid row, no call waits for another's lock, and
// where rows can't be slid, sessions are read all the same.

import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AuthBridgeOptions } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { QUICK, SLACK_MS, withClient } from './support/faults.js'
import { startPostgres, startStandby } from './support/postgres.mjs'
import { startProxy } from './support/proxy.js'
import { runScript } from './support/script.js'
import { claimsOf, createSession, createTables, createUser } from './support/tenants.mjs'

const database = useDatabase()
const open = useBridges()

let user: Awaited<ReturnType<typeof createUser>>
beforeAll(async () => {
  user = await createUser(database.client)
})

const inAnHour = () => new Date(Date.now() + 3_600_000)
async function start(client = database.client, of = user) {
  const session = await createSession(client, of, { expires_at: inAnHour() })
  return { ...session, cookie: await mintCookie(claimsOf(of, session), { secret: SECRET }) }
}
const NOTHING_ISSUED = { setCookie: [], session: { session_id: expect.any(String) } }

describe('where the database refuses to slide, sessions are read', () => {
  const ROLE = `rolling_${Math.random().toString(36).slice(2)}`
  beforeAll(async () => {
    await database.client.query(`
      CREATE ROLE ${ROLE} LOGIN PASSWORD 'x';
      GRANT SELECT ON sessions, users TO ${ROLE};
      CREATE SEQUENCE attempts;
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN PERFORM nextval('attempts'); RAISE 'not today'; END $$;
      CREATE VIEW fixed AS SELECT DISTINCT * FROM sessions`)
  })
  afterAll(() => database.client.query(`DROP OWNED BY ${ROLE}; DROP ROLE ${ROLE}`))
  const asReader = () => {
    const url = new URL(database.url)
    ;[url.username, url.password] = [ROLE, 'x']
    return url.href
  }
  const setTrigger = (statement: string) => database.client.query(statement)

  test.each<[string, () => string, AuthBridgeOptions]>([
    ['a user who may only read', asReader, {}],
    ['a connection that only reads', () => `${database.url}?options=-c%20default_transaction_read_only%3Don`, {}],
    ['a view that can not be written', () => database.url, { tables: { sessions: 'fixed' } }],
  ])('%s', async (_, url, options) => {
    const bridge = open(url(), options)
    const { cookie } = await start()
    for (let call = 1; call <= 3; call++) {
      expect(await bridge.refreshSession(cookie)).toMatchObject({ ...NOTHING_ISSUED, cookieHeader: cookie })
      expect(bridge.stats().rolls).toMatchObject({ issued: 0, refused: call })
    }
    expect(await bridge.updateSession(cookie, { plan: 'pro' })).toMatchObject({ updated: true })
  })

  test('which is told of once in a process', async () => {
    const { cookie } = await start()
    const index = fileURLToPath(new URL('../index.js', import.meta.url))
    const { code, errors } = await runScript(`
      const { AuthBridge } = require(${JSON.stringify(index)})
      const options = { secret: '${SECRET}', databaseUrl: '${asReader()}', secureCookie: false }
      async function roll(bridge) {
        for (let call = 0; call < 3; call++) await bridge.refreshSession('${cookie}')
        await bridge.close()
      }
      roll(new AuthBridge(options)).then(() => roll(new AuthBridge(options)))`)
    expect(code).toBe(0)
    expect(errors.match(/^.*AUTH_BRIDGE_NOT_ROLLING.*$/gm)).toEqual([
      expect.stringMatching(/: sessions are not rolled, since the database refuses .*SQLSTATE 42501/),
    ])
  })

  test('a user who may update only what a slide sets', async () => {
    await database.client.query(`GRANT UPDATE (expires_at, last_activity_at, updated_at) ON sessions TO ${ROLE}`)
    try {
      const { cookie } = await start()
      expect((await open(asReader()).refreshSession(cookie)).setCookie).toHaveLength(1)
    } finally {
      await database.client.query(`REVOKE UPDATE (expires_at, last_activity_at, updated_at) ON sessions FROM ${ROLE}`)
    }
  })

  test('a trigger that raises an error; the connection is not asked to slide again', async () => {
    await setTrigger('CREATE TRIGGER refuse BEFORE UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION refuse()')
    try {
      const bridge = open(database.url, { maxConnections: 1 })
      const { cookie } = await start()
      for (let call = 0; call < 3; call++) expect(await bridge.refreshSession(cookie)).toMatchObject(NOTHING_ISSUED)
      const { rows } = await database.client.query('SELECT last_value::int, is_called FROM attempts')
      expect(rows).toEqual([{ last_value: 1, is_called: true }])
    } finally {
      await setTrigger('DROP TRIGGER refuse ON sessions')
    }
  })
})

describe('a lock on the whole table', () => {
  test('delays one batch by a part of queryTimeout, and then none', async () => {
    const bridge = open(database.url, { ...QUICK, maxConnections: 2 })
    const { cookie } = await start()
    await bridge.getSession(cookie)
    await withClient(database.url, async (client) => {
      // As CREATE INDEX does: it keeps out writers, but no readers.
      await client.query('BEGIN; LOCK TABLE sessions IN SHARE MODE')
      const began = performance.now()
      expect(await bridge.refreshSession(cookie)).toMatchObject(NOTHING_ISSUED)
      expect(performance.now() - began).toBeLessThan(QUICK.queryTimeout / 4 + SLACK_MS)
      for (let call = 0; call < 5; call++) expect(await bridge.refreshSession(cookie)).toMatchObject(NOTHING_ISSUED)
      expect(bridge.stats().rolls).toEqual({ issued: 0, held: 0, refused: 6, tooLarge: 0 })
      await client.query('ROLLBACK')
    })
  })
})

describe('several servers', () => {
  let primary: Awaited<ReturnType<typeof startPostgres>>
  let standby: Awaited<ReturnType<typeof startStandby>>
  let session: Awaited<ReturnType<typeof start>>
  beforeAll(async () => {
    primary = await startPostgres()
    await withClient(primary.url(), async (client) => {
      await createTables(client)
      session = await start(client, await createUser(client))
    })
    standby = await startStandby(primary)
  })
  afterAll(async () => {
    await standby?.dispose()
    await primary?.dispose()
  })

  test('a standby reads, and issues nothing', async () => {
    const bridge = open(standby.url())
    // It may lag behind for a moment.
    await expect.poll(async () => (await bridge.getSession(session.cookie)).session_id).toBe(session.session_id)
    expect(await bridge.refreshSession(session.cookie)).toMatchObject(NOTHING_ISSUED)
    expect(bridge.stats().rolls).toMatchObject({ issued: 0, refused: 1 })
  })

  describe('a connection that breaks', () => {
    let proxy: Awaited<ReturnType<typeof startProxy>>
    beforeEach(async () => {
      proxy = await startProxy(primary.port)
    })
    afterEach(() => proxy.close())

    test('between the slide and its answer: it is slid again on a new one', async () => {
      const bridge = open(primary.url({ port: proxy.port }), QUICK)
      await bridge.getSession(session.cookie)
      proxy.disturb('cut')
      const { setCookie } = await bridge.refreshSession(session.cookie)
      expect(setCookie).toHaveLength(1)
    })

    test.each(['cut', 'swallow'] as const)('each time (%s): rejects, and changes no cookie', async (disturbance) => {
      const bridge = open(primary.url({ port: proxy.port }), QUICK)
      await bridge.getSession(session.cookie)
      proxy.disturb(disturbance, { always: true })
      const began = performance.now()
      await expect(bridge.refreshSession(session.cookie)).rejects.toMatchObject({
        code: expect.stringMatching(/^ERR_AUTH_BRIDGE_(DATABASE|TIMEOUT)$/),
      })
      expect(performance.now() - began).toBeLessThan(QUICK.callTimeout + SLACK_MS)
      expect(bridge.stats().rolls.issued).toBe(0)
    })
  })
})

test('under load: nothing revoked is slid, nothing is issued without a slid row, no call fails', async () => {
  const { client } = database
  await client.query(`
    CREATE TABLE slides (session_id uuid, at timestamptz);
    CREATE FUNCTION note_slide() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO slides VALUES (new.session_id, clock_timestamp());
      IF old.revoked_at IS NOT NULL THEN RAISE 'a revoked session was slid'; END IF;
      RETURN new;
    END $$;
    CREATE TRIGGER note_slide AFTER UPDATE ON sessions FOR EACH ROW
      WHEN (new.last_activity_at IS DISTINCT FROM old.last_activity_at) EXECUTE FUNCTION note_slide()`)
  const sessions = await Promise.all(Array.from({ length: 60 }, () => start()))
  // Pools of their own, as of several processes.
  const bridges = [3, 4, 5].map((maxConnections) => open(database.url, { maxConnections, updateAge: 0 }))
  const pick = () => sessions[Math.floor(Math.random() * sessions.length)] as (typeof sessions)[number]
  const end = Date.now() + 4000
  const issued: { session_id: string; began: number }[] = []
  const revokedAt = new Map<string, number>()
  let returnedRevoked = 0

  const callers = bridges.flatMap((bridge) =>
    Array.from({ length: 16 }, async () => {
      while (Date.now() < end) {
        const { cookie, session_id } = pick()
        const began = Date.now()
        const { setCookie, session } = await bridge.refreshSession(cookie)
        if (setCookie.some((line) => !line.includes('Max-Age=0'))) issued.push({ session_id, began })
        if (session.session_id && began > (revokedAt.get(session_id) ?? Number.POSITIVE_INFINITY)) returnedRevoked++
      }
    }),
  )
  // Transactions that hold rows in random order, so that they deadlock with each other, and now and then with nothing else.
  const holders = [1, 2].map(() =>
    withClient(database.url, async (holder) => {
      while (Date.now() < end) {
        try {
          await holder.query('BEGIN')
          for (let row = 0; row < 3; row++) {
            await holder.query('UPDATE sessions SET user_agent = $2 WHERE session_id = $1', [pick().session_id, 'x'])
          }
          await holder.query('COMMIT')
        } catch {
          await holder.query('ROLLBACK')
        }
      }
    }),
  )
  const revoker = withClient(database.url, async (revoker) => {
    for (const { session_id } of sessions.slice(0, 40)) {
      await revoker.query('UPDATE sessions SET revoked_at = clock_timestamp() WHERE session_id = $1', [session_id])
      revokedAt.set(session_id, Date.now())
      await sleep(60)
    }
  })
  await Promise.all([...callers, ...holders, revoker])

  const { rows } = await client.query(`
    SELECT session_id, extract(epoch FROM at)::float8 * 1000 AS at FROM slides`)
  const slides = new Map<string, number[]>()
  for (const { session_id, at } of rows) slides.set(session_id, [...(slides.get(session_id) ?? []), at])
  // Both clocks are those of this machine; JavaScript's has whole milliseconds.
  const unslid = issued.filter(({ session_id, began }) => !slides.get(session_id)?.some((at) => at >= began - 1))
  expect(unslid).toEqual([])
  expect(returnedRevoked).toBe(0)
  expect(issued.length).toBeGreaterThan(100)
  for (const bridge of bridges) {
    expect(bridge.stats().calls.failed).toBe(0)
    expect(bridge.stats().rolls.refused).toBe(0)
  }
  const { rows: late } = await client.query(`
    SELECT count(*)::int FROM slides JOIN sessions USING (session_id) WHERE revoked_at < at`)
  expect(late).toEqual([{ count: 0 }])
})
