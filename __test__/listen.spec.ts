// `listen` on real PostgreSQL, with the triggers of `schema/notify.sql`: what others end counts in milliseconds, and whatever becomes of
// the connection on which that is heard, nothing counts for longer than `maxStaleness`.

import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { AuthBridge, AuthBridgeOptions } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { diagnose, run } from './support/command-line.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { withClient } from './support/faults.js'
import { startPostgres, startStandby } from './support/postgres.mjs'
import { startProxy } from './support/proxy.js'
import { claimsOf, createSession, createUser, createWatchedTables } from './support/tenants.mjs'

const LONG = 600_000
const NOTIFY = await readFile(new URL('../schema/notify.sql', import.meta.url), 'utf8')

const database = useDatabase(createWatchedTables)
const open = useBridges()
const connect = (options: AuthBridgeOptions = {}, url = database.url) =>
  open(url, { secureCookie: false, maxStaleness: LONG, listen: true, ...options })

type Session = Awaited<ReturnType<typeof createSession>>
type User = Awaited<ReturnType<typeof createUser>>
let user: User
beforeEach(async () => {
  user = await createUser(database.client)
})

const query = (sql: string, values: unknown[] = []) => database.client.query(sql, values)
const cookieOf = (session: Session, of = user) => mintCookie(claimsOf(of, session), { secret: SECRET })
const asked = (bridge: AuthBridge) => bridge.stats().batches.count
const notifications = (bridge: AuthBridge) => bridge.stats().listener?.notifications ?? Number.NaN

/** Waits until notifications come through. */
async function listening(bridge: AuthBridge, timeout = 5_000) {
  await expect.poll(() => bridge.stats().listener, { timeout }).toMatchObject({ listening: true, problem: null })
}

/** Reads a session until a further call takes no query. */
async function kept(bridge: AuthBridge, cookie: string) {
  const read = () => bridge.getSession(cookie)
  await read()
  await listening(bridge)
  const isKept = async () => {
    const before = asked(bridge)
    await read()
    return asked(bridge) === before
  }
  // With listenUrl nothing is kept for a second.
  await expect.poll(isKept).toBe(true)
  return read()
}

async function start(bridge: AuthBridge, of = user) {
  const session = await createSession(database.client, of)
  const cookie = await cookieOf(session, of)
  expect(await kept(bridge, cookie)).toMatchObject({ session_id: session.session_id })
  return { session, cookie }
}

const soon = (bridge: AuthBridge, cookie: string) =>
  expect.poll(() => bridge.getSession(cookie), { interval: 5, timeout: 2_000 })

const ofSession = (change: string) => (session: Session) =>
  query(`${change} WHERE session_id = $1`, [session.session_id])
const ofUser =
  (change: string) =>
  ({ user_id }: Session) =>
    query(`${change} WHERE user_id = $1`, [user_id])

describe('what others do', () => {
  test.each<[string, (session: Session) => Promise<unknown>]>([
    ['revoke a session', ofSession('UPDATE sessions SET revoked_at = now()')],
    ['revoke all of a user', ofUser('UPDATE sessions SET revoked_at = now()')],
    ['delete it', ofSession('DELETE FROM sessions')],
    ['let it end now', ofSession('UPDATE sessions SET expires_at = now()')],
    ['give it to another user', ofSession('UPDATE sessions SET user_id = gen_random_uuid()')],
    ['give it another id', ofSession('UPDATE sessions SET session_id = gen_random_uuid()')],
    ['move it to another tenant', ofSession('UPDATE sessions SET tenant = gen_random_uuid()')],
    ['empty the table', () => query('TRUNCATE sessions')],
    ['delete the user', ofUser('DELETE FROM users')],
    ['change the type of the user', ofUser(`UPDATE users SET user_type = 'client'`)],
    ['move the user to another tenant', ofUser('UPDATE users SET tenant = gen_random_uuid()')],
    ['empty the table of users', () => query('TRUNCATE users')],
  ])('counts at once: to %s', async (_, change) => {
    const bridge = connect()
    const { session, cookie } = await start(bridge)
    const before = notifications(bridge)
    await change(session)
    await soon(bridge, cookie).toEqual({})
    await expect.poll(() => notifications(bridge)).toBe(before + 1)
  })

  test('a fresh claim changes', async () => {
    await query(`SELECT authjs_bridge.watch('users', 'users', 'user_id', 'user_type', 'username')`)
    onTestFinished(async () => void (await query(NOTIFY)))
    const bridge = connect({ freshClaims: ['username'] })
    const { cookie } = await start(bridge)
    await query(`UPDATE users SET username = 'countess' WHERE user_id = $1`, [user.user_id])
    await soon(bridge, cookie).toMatchObject({ user: { username: 'countess' } })
  })

  test('a fresh claim of a table behind the users changes', async () => {
    await query(`
      CREATE TABLE plans (member uuid, plan text, seats int);
      CREATE VIEW members AS SELECT u.*, (SELECT max(plan) FROM plans WHERE member = user_id) AS plan FROM users u;
      SELECT authjs_bridge.watch('plans', 'users', 'member', 'plan')`)
    onTestFinished(async () => void (await query('DROP TABLE plans CASCADE')))
    const bridge = connect({ freshClaims: ['plan'], tables: { users: 'members' } })
    const { cookie } = await start(bridge)
    for (const [change, plan] of [
      ['INSERT INTO plans VALUES ($1, $$free$$, 1)', 'free'],
      ['UPDATE plans SET plan = $$pro$$ WHERE member = $1', 'pro'],
      ['DELETE FROM plans WHERE member = $1', undefined],
    ] as const) {
      await query(change, [user.user_id])
      await expect.poll(async () => (await bridge.getSession(cookie)).user?.plan).toBe(plan)
    }
    const before = notifications(bridge)
    await query('INSERT INTO plans VALUES ($1, $$x$$, 1)', [randomUUID()])
    await query('UPDATE plans SET seats = 2')
    await expect.poll(() => notifications(bridge)).toBe(before + 1)
  })

  // What an app's tables can look like, and what its statements can do.
  describe('the triggers', () => {
    let listener: pg.Client
    let told: { sessions?: string[]; users?: string[]; tenants?: string[] }[]
    const users = (table: string, columns: string) =>
      query(`SELECT authjs_bridge.watch('${table}', 'users', 'member', ${columns})`)
    /** Runs statements on a table, and returns what was told of each. */
    async function tell(create: string, columns: string, ...changes: string[]) {
      await query(`DROP TABLE IF EXISTS members CASCADE; CREATE TABLE members (${create})`)
      await users('members', columns)
      await heard()
      const all = []
      for (const change of changes) {
        await query(change)
        all.push(await heard())
      }
      return all
    }
    /** What was told since the last call. */
    async function heard() {
      // Notifications of one commit come before those of the next one.
      const trial = randomUUID()
      await query('SELECT pg_notify($1, $2)', ['authjs_bridge', JSON.stringify({ trial })])
      await expect.poll(() => told, { interval: 5 }).toContainEqual({ trial })
      return told.splice(0).filter((payload) => !('trial' in payload))
    }
    beforeAll(async () => {
      told = []
      listener = new pg.Client(database.url)
      await listener.connect()
      listener.on('notification', ({ payload = '' }) => told.push(JSON.parse(payload)))
      await listener.query('LISTEN authjs_bridge')
    })
    afterAll(() => listener.end())
    const many = (rows: string) => `INSERT INTO members SELECT ${rows} FROM generate_series(1, 10001)`

    test.each<[string, string, string, string[], object[][]]>([
      [
        'many rows of one user, then another one',
        'member text, role text',
        `'role'`,
        [many(`'a', 'x'`), `INSERT INTO members VALUES ('b', 'x')`, 'DELETE FROM members'],
        [[{ users: ['a'] }], [{ users: ['b'] }], [{ users: ['a', 'b'] }]],
      ],
      [
        'many users',
        'member text, role text',
        `'role'`,
        [many(`generate_series, 'x'`), `UPDATE members SET role = 'y'`],
        [[{}], [{}]],
      ],
      [
        'many rows of nobody, then one of a user',
        'member text, role text',
        `'role'`,
        [many(`NULL, 'x'`), `INSERT INTO members VALUES ('b', 'x')`, 'DELETE FROM members'],
        [[], [{ users: ['b'] }], [{ users: ['b'] }]],
      ],
      [
        'columns with the names that the function uses',
        'member text, ids text, tenants text, old_rows text, o int, n int, r int, id int, tenant int',
        `'ids'`,
        [
          `INSERT INTO members VALUES ('a', 'x')`,
          `UPDATE members SET o = 1, n = 2`,
          `UPDATE members SET ids = 'y'`,
          'DELETE FROM members',
        ],
        [[{ users: ['a'] }], [], [{ users: ['a'] }], [{ users: ['a'] }]],
      ],
      [
        'expires_at that is a number, a json that jsonb can not hold',
        'member text, role json, expires_at int, extra json',
        `'role'`,
        [
          `INSERT INTO members VALUES ('a', '{"a":"\\u0000"}', 1700000000, '{"b":1e400000}')`,
          `UPDATE members SET expires_at = 1, extra = '1'`,
          `UPDATE members SET role = '2'`,
        ],
        [[{ users: ['a'] }], [], [{ users: ['a'] }]],
      ],
      [
        'ids that are padded',
        'member char(10), role text',
        `'role'`,
        [`INSERT INTO members VALUES ('bob', 'x')`, 'DELETE FROM members'],
        [[{ users: ['bob'] }], [{ users: ['bob'] }]],
      ],
      [
        'rows of one user that swap their values',
        'member text, organization int, role text, PRIMARY KEY (member, organization)',
        `'role'`,
        [
          `INSERT INTO members VALUES ('a', 1, 'admin'), ('a', 2, 'guest')`,
          `UPDATE members SET role = CASE role WHEN 'admin' THEN 'guest' ELSE 'admin' END`,
          `UPDATE members SET role = role`,
        ],
        [[{ users: ['a'] }], [{ users: ['a'] }], []],
      ],
      [
        'a row that moves to another user',
        'member text, role text',
        `'role'`,
        [`INSERT INTO members VALUES ('a', 'x')`, `UPDATE members SET member = 'b'`],
        [[{ users: ['a'] }], [{ users: ['a', 'b'] }]],
      ],
      [
        'a column that was renamed: the statement works, and all is forgotten',
        'member text, role text',
        `'role'`,
        [
          `ALTER TABLE members RENAME role TO rank`,
          `INSERT INTO members VALUES ('a', 'x')`,
          `UPDATE members SET rank = 'y'`,
        ],
        [[], [{ users: ['a'] }], [{}]],
      ],
    ])('%s', async (_, create, columns, changes, expected) => {
      expect(await tell(create, columns, ...changes)).toEqual(expected)
    })

    test('sessions whose ids are those of others in another tenant: more tenants than one notification names', async () => {
      await query(
        'CREATE TABLE logins (tenant int, session_id int, user_id int, revoked_at timestamptz, PRIMARY KEY (tenant, session_id))',
      )
      onTestFinished(async () => void (await query('DROP TABLE logins')))
      await query(`SELECT authjs_bridge.watch('logins', 'sessions', 'session_id', 'user_id', 'revoked_at')`)
      await query('INSERT INTO logins SELECT t, s, 1 FROM generate_series(1, 40) t, generate_series(1, 500) s')
      await heard()
      await query('UPDATE logins SET revoked_at = now() WHERE tenant <= 10')
      await query('UPDATE logins SET revoked_at = now()')
      expect(await heard()).toEqual([{ tenants: ['1', '10', '2', '3', '4', '5', '6', '7', '8', '9'] }, {}])
    })

    test('two columns of one table have the ids of users', async () => {
      await query('CREATE TABLE friends (a text, b text, since text)')
      onTestFinished(async () => void (await query('DROP TABLE friends')))
      for (const column of ['a', 'b'])
        await query(`SELECT authjs_bridge.watch('friends', 'users', '${column}', 'since')`)
      await heard()
      await query(`INSERT INTO friends VALUES ('ada', 'bob')`)
      expect(await heard()).toEqual([{ users: ['ada'] }, { users: ['bob'] }])
    })

    test('unwatch drops them all', async () => {
      onTestFinished(async () => void (await query(NOTIFY)))
      await query('SELECT authjs_bridge.unwatch()')
      const triggers = `SELECT FROM pg_trigger WHERE NOT tgisinternal AND tgname LIKE 'authjs_bridge%'`
      expect((await query(triggers)).rowCount).toBe(0)
      expect((await query(`SELECT FROM pg_proc WHERE proname LIKE 'notify\\_%'`)).rowCount).toBe(0)
    })
  })

  test('nothing is sent when a session starts, is extended, or is over already', async () => {
    const bridge = connect({ updateAge: 0 })
    const { session, cookie } = await start(bridge)
    await query(`UPDATE sessions SET expires_at = now() + interval '1 hour' WHERE session_id = $1`, [
      session.session_id,
    ])
    const { session: ended } = await start(bridge)
    const { session: expired } = await start(bridge)
    await query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [ended.session_id])
    await query('UPDATE sessions SET expires_at = now() WHERE session_id = $1', [expired.session_id])
    expect(await bridge.getSession(cookie)).not.toEqual({})
    const { setCookie } = await bridge.refreshSession(cookie)
    expect(setCookie).toHaveLength(1)
    await query(
      `UPDATE sessions SET last_activity_at = now(), expires_at = now() + interval '30 days', ip_address = '::1'
      WHERE session_id = $1`,
      [session.session_id],
    )
    await createSession(database.client, user)
    await query(`UPDATE users SET email = 'countess@example.com' WHERE user_id = $1`, [user.user_id])
    await query('DELETE FROM sessions WHERE session_id = ANY ($1)', [[ended.session_id, expired.session_id]])
    await query(`UPDATE sessions SET revoked_reason = 'again' WHERE session_id = $1`, [session.session_id])
    await query('DELETE FROM sessions WHERE session_id = $1', [session.session_id])
    // That the first one is to end, two that end, and this one. Another one would come before the last.
    await expect.poll(() => notifications(bridge)).toBe(4)
    await sleep(50)
    expect(notifications(bridge)).toBe(4)
  })

  test('a revocation that is rolled back', async () => {
    const bridge = connect()
    const { session, cookie } = await start(bridge)
    const before = asked(bridge)
    await query('BEGIN')
    await query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [session.session_id])
    await query('ROLLBACK')
    await sleep(100)
    expect(await bridge.getSession(cookie)).toMatchObject({ session_id: session.session_id })
    expect(asked(bridge)).toBe(before)
  })

  test.each([
    ['hundred', 100, 'sessions'],
    ['more of one tenant', 101, 'tenants'],
  ])('%s sessions in one statement are one notification', async (_, count, kind) => {
    const bridge = connect()
    const payloads: Record<string, string[]>[] = []
    const listener = new pg.Client(database.url)
    await listener.connect()
    onTestFinished(() => listener.end())
    listener.on('notification', ({ payload = '' }) => payloads.push(JSON.parse(payload)))
    await listener.query('LISTEN authjs_bridge')
    const { cookie } = await start(bridge)
    const other = await start(bridge, await createUser(database.client))
    await query(
      'INSERT INTO sessions (tenant, session_id, user_id) SELECT $1, gen_random_uuid(), $2 FROM generate_series(2, $3)',
      [user.tenant, user.user_id, count],
    )
    const before = asked(bridge)
    await query('UPDATE sessions SET revoked_at = now() WHERE tenant = $1', [user.tenant])
    await soon(bridge, cookie).toEqual({})
    expect(await bridge.getSession(other.cookie)).not.toEqual({})
    expect(asked(bridge)).toBe(before + 1)
    const ofSessions = () => payloads.filter((payload) => !('trial' in payload || 'users' in payload))
    await expect.poll(ofSessions).toHaveLength(1)
    const [told] = ofSessions()
    expect(Object.keys(told ?? {})).toEqual([kind])
    expect(told?.[kind]).toHaveLength(kind === 'tenants' ? 1 : count)
  })

  test('more sessions without a tenant than one notification holds: all are forgotten', async () => {
    await query(`CREATE TABLE logins (session_id int PRIMARY KEY, user_id uuid, revoked_at timestamptz, expires_at timestamptz);
      SELECT authjs_bridge.watch('logins', 'sessions', 'session_id', 'user_id', 'revoked_at')`)
    onTestFinished(async () => void (await query('DROP TABLE logins')))
    await query('INSERT INTO logins SELECT n, $1 FROM generate_series(1, 201) n', [user.user_id])
    const bridge = connect({ tables: { sessions: 'logins' }, multiTenant: false })
    const cookie = (id: number) => mintCookie({ ...claimsOf(user, {} as never), session_id: id }, { secret: SECRET })
    const cookies = await Promise.all([1, 200, 201].map(cookie))
    for (const cookie of cookies) expect(await kept(bridge, cookie)).not.toEqual({})
    await query('UPDATE logins SET revoked_at = now() WHERE session_id = 1')
    await soon(bridge, cookies[0] ?? '').toEqual({})
    await query('UPDATE logins SET revoked_at = now() WHERE session_id <= 200')
    await soon(bridge, cookies[1] ?? '').toEqual({})
    const before = asked(bridge)
    expect(await bridge.getSession(cookies[2])).not.toEqual({})
    expect(asked(bridge)).toBe(before + 1)
  })

  test.each<[string, (of: Session) => unknown, 'it' | 'all' | 'none']>([
    ['a session', ({ session_id }) => ({ sessions: [session_id] }), 'it'],
    ['a session in upper case', ({ session_id }) => ({ sessions: [session_id.toUpperCase()] }), 'it'],
    ['a user', ({ user_id }) => ({ users: [user_id] }), 'it'],
    ['a tenant', ({ tenant }) => ({ tenants: [tenant], users: [] }), 'it'],
    ['others', () => ({ sessions: [randomUUID(), ''], users: [randomUUID()] }), 'none'],
    ['a session in another form', ({ session_id }) => ({ sessions: [session_id.replaceAll('-', '')] }), 'all'],
    ['a user by an id of another type', () => ({ users: [7] }), 'all'],
    ['the trial of another process', () => ({ trial: 'x' }), 'none'],
    ['nothing', () => ({}), 'all'],
    ['what is not known', () => ({ devices: ['x'] }), 'all'],
    ['no JSON', () => undefined, 'all'],
  ])('a notification that the app sends itself: %s', async (_, payload, forgotten) => {
    const bridge = connect()
    const stranger = await createUser(database.client)
    const { session, cookie } = await start(bridge)
    const other = await start(bridge, stranger)
    const sent = payload(session)
    await query('SELECT pg_notify($1, $2)', ['authjs_bridge', JSON.stringify(sent) ?? 'x'])
    await query('SELECT pg_notify($1, $2)', ['authjs_bridge', JSON.stringify({ sessions: [randomUUID()] })])
    const isTrial = sent instanceof Object && 'trial' in sent
    await expect.poll(() => notifications(bridge)).toBe(isTrial ? 1 : 2)
    const expected = { it: [1, 0], all: [1, 1], none: [0, 0] }[forgotten]
    for (const [index, of] of [cookie, other.cookie].entries()) {
      const queries = asked(bridge)
      expect(await bridge.getSession(of)).not.toEqual({})
      expect(asked(bridge) - queries).toBe(expected[index])
    }
  })
})

describe('the connection', () => {
  const LISTENERS = `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'listen%'`
  const listeners = async () => (await query(LISTENERS)).rowCount
  const backends = async () =>
    (
      await query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'authjs-bridge'`,
      )
    ).rowCount

  test('is one for all bridges to a database, and ends with the last of them', async () => {
    await expect.poll(backends).toBe(0)
    const session = await createSession(database.client, user)
    const cookie = await cookieOf(session)
    const bridges = [
      connect(),
      connect({ maxStaleness: LONG - 1 }),
      connect({ multiTenant: false, maxConnections: 2, preparedStatements: false }),
    ]
    const deaf = connect({ listen: false })
    // Nobody listens before the first lookup.
    expect(bridges.map((bridge) => bridge.stats().listener)).toEqual(
      bridges.map(() => ({ listening: false, notifications: 0, failures: 0, problem: null })),
    )
    for (const bridge of [...bridges, deaf]) {
      await bridge.getSession(cookie)
      if (bridge !== deaf) await kept(bridge, cookie)
    }
    expect(deaf.stats().listener).toBeNull()
    expect(await listeners()).toBe(1)
    // A pool each, and the listener: that which tried it out has gone.
    await expect.poll(backends).toBe(5)
    await query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [session.session_id])
    for (const bridge of bridges) await soon(bridge, cookie).toEqual({})
    for (const bridge of bridges.slice(1)) await bridge.close()
    expect(await listeners()).toBe(1)
    await bridges[0]?.close()
    await expect.poll(listeners).toBe(0)
  })

  test('that is lost empties the cache, and is made again', async () => {
    const bridge = connect()
    const { session, cookie } = await start(bridge)
    const before = asked(bridge)
    await query(`SELECT pg_terminate_backend(pid) FROM (${LISTENERS}) l`)
    await expect.poll(() => bridge.stats().listener).toMatchObject({ failures: 1 })
    expect(await bridge.getSession(cookie)).not.toEqual({})
    expect(asked(bridge)).toBe(before + 1)
    await kept(bridge, cookie)
    await query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [session.session_id])
    await soon(bridge, cookie).toEqual({})
  })

  test('that is dead, but not closed, is found out', async () => {
    const { port } = new URL(database.url)
    const proxy = await startProxy(Number(port))
    onTestFinished(() => proxy.close())
    const bridge = connect({ queryTimeout: 500, listenUrl: database.url.replace(port, String(proxy.port)) })
    const { session, cookie } = await start(bridge)
    await expect.poll(() => proxy.connections()).toBe(1)
    proxy.swallow()
    await query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [session.session_id])
    expect(await bridge.getSession(cookie)).not.toEqual({})
    const [silent, began] = [asked(bridge), performance.now()]
    await expect.poll(() => bridge.stats().listener?.failures, { timeout: 15_000 }).toBe(1)
    expect(performance.now() - began).toBeLessThan(12_000)
    expect(await bridge.getSession(cookie)).toEqual({})
    expect(asked(bridge)).toBe(silent + 1)
    await listening(bridge)
  })

  test('with a function for the password', async () => {
    const url = new URL(database.url)
    const password = decodeURIComponent(url.password)
    url.password = ''
    let calls = 0
    const counted = async () => {
      calls++
      return password
    }
    const bridge = connect({ password: counted }, url.href)
    await start(bridge)
    // Of the pool, of the listener, and to try it out.
    expect(calls).toBe(3)
  })

  test('of a role without rights', async () => {
    const role = `listener_${randomUUID().replaceAll('-', '')}`
    await query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
    onTestFinished(async () => void (await query(`DROP ROLE ${role}`)))
    const listenUrl = Object.assign(new URL(database.url), { username: role, password: 'secret' }).href
    const bridge = connect({ listenUrl })
    const { session, cookie } = await start(bridge)
    await query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [session.session_id])
    await soon(bridge, cookie).toEqual({})
    await bridge.close()
    await expect.poll(listeners).toBe(0)
  })
})

describe('the options', () => {
  const message = (options: AuthBridgeOptions) => {
    try {
      connect(options)
      return undefined
    } catch (error) {
      return (error as Error).message
    }
  }

  test.each<[AuthBridgeOptions, RegExp]>([
    [{ maxStaleness: 0 }, /^listen: has no effect without maxStaleness; set that to how long/],
    [{ sharded: true }, /^listen: can't be used with sharded/],
    [{ listen: false, listenUrl: 'postgres://h/d' }, /^listenUrl: has no effect without listen: true/],
    [{ listenUrl: 'mysql://h/d' }, /^listenUrl: must begin with postgres:\/\//],
    [{ listenUrl: 'postgres://h/d?sslmode=maybe' }, /^listenUrl: sslmode must be /],
    [{ listen: 'yes' as never }, /^listen: must be true or false, not string/],
    [{ listenUrl: true as never }, /^listenUrl: must be a string, not boolean/],
  ])('%j', (options, expected) => {
    expect(message(options)).toMatch(expected)
  })
})

describe('servers on which nobody can listen', () => {
  let primary: Awaited<ReturnType<typeof startPostgres>>
  let standby: Awaited<ReturnType<typeof startStandby>>
  let cookie: string
  let session: Session
  const onPrimary = (sql: string) => withClient(primary.url(), (client) => client.query(sql))

  beforeAll(async () => {
    // The smallest queue that PostgreSQL allows.
    primary = await startPostgres({ max_notify_queue_pages: '64' })
    await withClient(primary.url(), async (client) => {
      await createWatchedTables(client)
      const owner = await createUser(client)
      session = await createSession(client, owner)
      cookie = await cookieOf(session, owner)
    })
    standby = await startStandby(primary)
  })
  afterAll(async () => {
    await standby.dispose()
    await primary.dispose()
  })

  test('a standby: the problem says what to set, and so does a warning; with listenUrl it works', async () => {
    const warned = new Promise<Error & { code?: string }>((resolve) => process.once('warning', resolve))
    const bridge = connect({}, standby.url())
    await bridge.getSession(cookie)
    await expect.poll(() => bridge.stats().listener?.failures, { timeout: 5_000 }).toBeGreaterThan(2)
    expect(bridge.stats().listener).toMatchObject({
      listening: false,
      problem: expect.stringMatching(
        /is a standby, which sends no notifications; let the option listenUrl lead to the primary$/,
      ),
    })
    // Answers are kept all the same, and maxStaleness counts. A call that asks tells of it.
    await bridge.getSession(await cookieOf({ ...session, session_id: randomUUID() }))
    expect(await warned).toMatchObject({
      code: 'AUTH_BRIDGE_NOT_LISTENING',
      message: expect.stringMatching(/listenUrl/),
    })

    const listens = connect({ listenUrl: primary.url() }, standby.url())
    await kept(listens, cookie)
    await onPrimary(`UPDATE sessions SET revoked_at = now() WHERE session_id = '${session.session_id}'`)
    await soon(listens, cookie).toEqual({})
    await onPrimary('UPDATE sessions SET revoked_at = NULL')
    await expect.poll(() => listens.getSession(cookie)).not.toEqual({})
  })

  test('of several servers it is the primary, also where a standby is asked', async () => {
    const both = primary.url().replace(`:${primary.port}`, `:${standby.port},127.0.0.1:${primary.port}`)
    const bridge = await opened(both)
    await kept(bridge, cookie)
    // The notification comes before the standby knows of it.
    await onPrimary(`UPDATE sessions SET revoked_at = now() WHERE session_id = '${session.session_id}'`)
    await soon(bridge, cookie).toEqual({})
    await onPrimary('UPDATE sessions SET revoked_at = NULL')
    await expect.poll(() => bridge.getSession(cookie)).not.toEqual({})
  })

  async function opened(url: string) {
    const bridge = connect({}, url)
    await bridge.getSession(cookie)
    return bridge
  }

  test('a full queue: a session that can’t be ended lives on, and whoever wanted to end it is told', {
    timeout: 60_000,
  }, async () => {
    const bridge = await opened(primary.url())
    await listening(bridge)
    await withClient(primary.url(), async (stuck) => {
      // A transaction that stays open keeps all notifications in the queue.
      await stuck.query('LISTEN other')
      await stuck.query('BEGIN; SELECT 1')
      await withClient(primary.url(), async (client) => {
        const fill = async (bytes: number) => {
          for (;;) await client.query(`SELECT pg_notify('other', $1)`, [randomUUID().padEnd(bytes, 'x')])
        }
        for (const bytes of [7_900, 0]) await expect(fill(bytes)).rejects.toThrow(/too many notifications/)
        const { check } = await diagnose({
          env: {
            ...{ AUTH_SECRET: SECRET, DATABASE_URL: primary.url() },
            AUTH_BRIDGE_OPTIONS: JSON.stringify({ maxStaleness: LONG, listen: true }),
          },
        })
        expect(check('notifications')).toMatchObject({ status: 'failed' })
        const owner = { tenant: session.tenant, userId: session.user_id, sessionId: session.session_id }
        await expect(bridge.revokeSession(owner)).rejects.toMatchObject({
          code: 'ERR_AUTH_BRIDGE_DATABASE',
          message: expect.stringMatching(/too many notifications/),
        })
        expect(await bridge.getSession(cookie)).not.toEqual({})
        await stuck.query('COMMIT')
        // PostgreSQL looks at what can be thrown away when the usage of the queue is asked for, which each listener does.
        const revoked = () => bridge.revokeSession(owner).catch(() => undefined)
        await expect.poll(revoked, { timeout: 12_000, interval: 200 }).toBe(true)
        expect(await bridge.getSession(cookie)).toEqual({})
      })
    })
  })
})

describe('doctor', () => {
  const examine = (url: string, options: AuthBridgeOptions = {}) =>
    diagnose({
      env: {
        ...{ AUTH_SECRET: SECRET, DATABASE_URL: url },
        AUTH_BRIDGE_OPTIONS: JSON.stringify({ maxStaleness: LONG, listen: true, ...options }),
      },
    })

  test('tries whether notifications come through, and finds the triggers', async () => {
    const { check, code } = await examine(database.url)
    expect(check('notifications')).toMatchObject({
      status: 'ok',
      message: 'come through, and are sent by public.sessions, public.users',
      details: {
        triggers: [
          { table: 'public.sessions', arguments: ['sessions', 'session_id', 'user_id', 'revoked_at'] },
          { table: 'public.users', arguments: ['users', 'user_id', 'user_type'] },
        ],
        queue: 0,
      },
    })
    expect(code).toBe(0)
  })

  test('does neither without the option', async () => {
    const { check } = await examine(database.url, { listen: false })
    expect(check('notifications')).toBeUndefined()
  })

  describe('tables without triggers', () => {
    const bare = useDatabase()

    test.each<AuthBridgeOptions>([
      {},
      { userCheck: 'exists', freshClaims: ['email', 'username'], absoluteMaxAge: 3600 },
      { userCheck: 'none', multiTenant: false },
    ])('the SQL that it prints makes them: %j', async (options) => {
      await bare.client.query('DROP SCHEMA IF EXISTS authjs_bridge CASCADE')
      const before = (await examine(bare.url, options)).check('notifications')
      const users = options.userCheck === 'none' ? [] : ['public.users']
      expect(before).toMatchObject({
        status: 'warning',
        message: `they come through, but ${['public.sessions', ...users].map((table) => `no trigger of ${table} sends any`).join('; ')}`,
      })
      const [functions = ''] = NOTIFY.split(/^SELECT authjs_bridge/m)
      await bare.client.query(functions)
      await bare.client.query(before?.advice ?? '')
      const after = (await examine(bare.url, options)).check('notifications')
      expect(after).toMatchObject({
        status: 'ok',
        message: `come through, and are sent by ${['public.sessions', ...users].join(', ')}`,
      })
    })

    test('a column that no trigger tells of', async () => {
      await bare.client.query(NOTIFY)
      expect((await examine(bare.url)).check('notifications')?.status).toBe('ok')
      const { check } = await examine(bare.url, { freshClaims: ['username'] })
      expect(check('notifications')).toMatchObject({
        status: 'warning',
        message: 'they come through, but no trigger of public.users tells of a change of username',
      })
      await bare.client.query(check('notifications')?.advice ?? '')
      const after = await examine(bare.url, { freshClaims: ['username'] })
      expect(after.check('notifications')?.status).toBe('ok')
    })
  })
})

describe.each(['prisma', 'drizzle', 'auth-adapter'])('schema --notify --for %s', (tool) => {
  test('watches its tables', async () => {
    const { stdout } = await run(['schema', '--notify', '--for', tool])
    const [, own] = stdout.match(/watch\('(public\.[^']+)', 'users', 'id'/) ?? []
    const { stdout: tables } = await run(['schema', '--for', tool])
    expect(tables).toContain(`REFERENCES ${own} (id)`)
    expect(tables).toContain(`SELECT id AS user_id, name, email, image FROM ${own}`)
    expect(stdout.split('\n').filter((line) => line.startsWith('SELECT authjs_bridge.watch'))).toHaveLength(2)
  })
})

test('schema --notify is the file, and says what is wrong with a line', async () => {
  for (const args of [[], ['--single-tenant']]) expect((await run(['schema', '--notify', ...args])).stdout).toBe(NOTIFY)
  for (const [call, problem] of [
    [`'users', 'user', 'user_id', 'email'`, 'the kind is sessions, users or tenants, not user'],
    [`'users', 'users', 'id', 'email'`, 'public.users has no column id'],
    [`'users', 'users', 'user_id', 'plan'`, 'public.users has no column plan'],
    [`'nobody', 'users', 'user_id', 'plan'`, 'relation "nobody" does not exist'],
    [`'users', 'users', 'user_id', VARIADIC '{}'`, 'name the columns of public.users that count'],
  ]) {
    await expect(query(`SELECT authjs_bridge.watch(${call})`)).rejects.toThrow(problem)
  }
})
