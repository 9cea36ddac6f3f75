// Sessions are started, listed and ended on tables of every shape that apps have. The database is in Los Angeles, so a time that is
// written or read in the time zone of the connection shows.

import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AuthBridge, AuthBridgeOptions, NewSession } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'

const ARGUMENT = 'ERR_AUTH_BRIDGE_ARGUMENT'
const DATABASE = 'ERR_AUTH_BRIDGE_DATABASE'
const ROLE = `managing_${randomUUID().slice(0, 8)}`
const WATCH =
  'Mozilla/5.0 (Linux; Android 10) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36'

interface Shape {
  /** SQL that makes `sessions` in a schema of its own. */
  tables: string
  options?: AuthBridgeOptions
  owner?: object
  /** The same user, as other calls spell the ids. */
  spelled?: object
  /** What each new session has. */
  more?: Partial<NewSession>
  /** What its row holds then. */
  row?: object
}

const NEEDED = 'expires_at timestamptz, revoked_at timestamptz'
const ALL = `login_method text, ip_address text, user_agent text, device_name text, device_type text, ${NEEDED}, revoked_reason text,
  last_activity_at timestamptz, created_at timestamptz DEFAULT now(), updated_at timestamptz`
const withIds = (tenant: string, session: string, user: string, columns = ALL) => `
  CREATE TABLE sessions (tenant ${tenant}, session_id ${session}, user_id ${user}, ${columns}, PRIMARY KEY (tenant, session_id))`
const UUIDS = withIds('uuid', 'uuid', 'uuid')
/** As Prisma names and types them. */
const RENAMED = `
  CREATE TABLE "Session" (id text PRIMARY KEY, "userId" text NOT NULL, "endsAt" timestamp(3), "revokedAt" timestamp(3),
    "createdAt" timestamp(3) NOT NULL DEFAULT now(), "updatedAt" timestamp(3) NOT NULL);
  CREATE VIEW sessions AS SELECT id AS session_id, "userId" AS user_id, "endsAt" AS expires_at, "revokedAt" AS revoked_at,
    "createdAt" AS created_at, "updatedAt" AS updated_at FROM "Session"`
/** A view that only triggers can write. */
const TRIGGERED = `
  CREATE TABLE kept (session_id uuid PRIMARY KEY, tenant uuid, user_id uuid);
  CREATE TABLE ends (session_id uuid PRIMARY KEY REFERENCES kept ON DELETE CASCADE, expires_at timestamptz, revoked_at timestamptz);
  CREATE VIEW sessions AS SELECT tenant, session_id, user_id, expires_at, revoked_at FROM kept JOIN ends USING (session_id);
  CREATE FUNCTION write() RETURNS trigger LANGUAGE plpgsql SET search_path = triggered AS $$ BEGIN
    IF TG_OP = 'DELETE' THEN DELETE FROM kept WHERE session_id = old.session_id; RETURN old; END IF;
    IF TG_OP = 'INSERT' THEN
      INSERT INTO kept VALUES (new.session_id, new.tenant, new.user_id);
      INSERT INTO ends VALUES (new.session_id, new.expires_at, new.revoked_at);
    ELSE UPDATE ends SET expires_at = new.expires_at, revoked_at = new.revoked_at WHERE session_id = old.session_id; END IF;
    RETURN new;
  END $$;
  CREATE TRIGGER write INSTEAD OF INSERT OR UPDATE OR DELETE ON sessions FOR EACH ROW EXECUTE FUNCTION write()`

const SHAPES: Record<string, Shape> = {
  uuid: { tables: UUIDS },
  text: {
    tables: withIds('text', 'text', 'text'),
    owner: { tenant: "O'Hare", userId: 'é\\"$1' },
  },
  varchar: { tables: withIds('varchar(40)', 'varchar(40)', 'varchar'), owner: { tenant: 'acme', userId: 'ada' } },
  char: { tables: withIds('char(40)', 'char(40)', 'char(40)'), owner: { tenant: 'acme', userId: 'ada' } },
  citext: {
    tables: withIds('citext', 'citext', 'citext'),
    owner: { tenant: 'Acme', userId: 'Ada' },
    spelled: { tenant: 'aCME', userId: 'aDA' },
  },
  int: {
    tables: withIds('int4', 'uuid', 'int8'),
    owner: { tenant: 7, userId: -12 },
    spelled: { tenant: '7', userId: '-12' },
  },
  domains: {
    tables: `CREATE DOMAIN own_name AS text CHECK (value <> ''); CREATE DOMAIN tenant AS own_name; CREATE DOMAIN number AS int8;
      CREATE DOMAIN own_uuid AS uuid; ${withIds('domains.tenant', 'domains.own_uuid', 'domains.number')}`,
    owner: { tenant: 'acme', userId: 12 },
    more: { columns: { device_name: 'a watch' } },
    row: { device_name: 'a watch' },
  },
  untenanted: {
    tables: `CREATE TABLE sessions (session_id uuid PRIMARY KEY, user_id uuid, ${ALL})`,
    options: { multiTenant: false },
    owner: { userId: randomUUID() },
  },
  minimal: { tables: withIds('uuid', 'uuid', 'uuid', NEEDED) },
  prisma: { tables: withIds('text', 'text', 'text', ALL.replaceAll('timestamptz', 'timestamp(3)')) },
  renamed: { tables: RENAMED, options: { multiTenant: false }, owner: { userId: 'clh3k2jd50000qzrm3v1x9d0f' } },
  triggered: { tables: TRIGGERED },
  partitioned: {
    tables: `${UUIDS} PARTITION BY HASH (tenant);
      CREATE TABLE sessions_0 PARTITION OF sessions FOR VALUES WITH (MODULUS 2, REMAINDER 0);
      CREATE TABLE sessions_1 PARTITION OF sessions FOR VALUES WITH (MODULUS 2, REMAINDER 1)`,
  },
  typed: {
    tables: `CREATE TYPE device AS ENUM ('desktop', 'mobile'); CREATE TYPE method AS ENUM ('credentials', 'google');
      CREATE TYPE reason AS ENUM ('lost');
      ${withIds(
        ...(['uuid', 'uuid', 'uuid'] as const),
        `login_method typed.method NOT NULL, ip_address inet, user_agent varchar(50), device_name varchar(5), tags text[] NOT NULL,
         device_type typed.device, place jsonb NOT NULL, level int2 NOT NULL, until timestamp, ${NEEDED},
         revoked_reason typed.reason, last_activity_at timestamptz, token text UNIQUE`,
      )}`,
    more: {
      loginMethod: 'google',
      ipAddress: '2001:db8::1',
      userAgent: WATCH,
      columns: { tags: ['a', 'b"{},'], place: { at: [1.5, null] }, level: 3, until: new Date(0) },
    },
    row: {
      ...{ login_method: 'google', ip_address: '2001:db8::1', user_agent: WATCH.slice(0, 50), device_name: 'Chrom' },
      ...{ tags: ['a', 'b"{},'], device_type: 'mobile', place: { at: [1.5, null] }, level: 3, token: null },
    },
  },
  secured: {
    tables: `${UUIDS}; ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
      GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO ${ROLE}; CREATE POLICY bridge ON sessions TO ${ROLE} USING (true)`,
  },
  unprepared: { tables: UUIDS, options: { preparedStatements: false } },
  sharded: { tables: UUIDS, options: { sharded: true } },
  endless: { tables: UUIDS, options: { ignoreExpiresAt: true }, row: { expires_at: null } },
  absolute: { tables: UUIDS, options: { absoluteMaxAge: 3600 } },
}

const database = useDatabase(async (client) => {
  await client.query(`CREATE EXTENSION citext; CREATE ROLE ${ROLE} LOGIN PASSWORD 'x'`)
  await client.query(`ALTER DATABASE ${client.database} SET timezone = 'America/Los_Angeles'`)
  for (const [name, { tables }] of Object.entries(SHAPES)) await create(name, tables)
})
afterAll(() => database.client.query(`DROP OWNED BY ${ROLE}; DROP ROLE ${ROLE}`))

async function create(schema: string, tables: string) {
  await database.client.query(`CREATE SCHEMA ${schema}; SET search_path = ${schema}, public; ${tables}`)
  await database.client.query(`GRANT USAGE ON SCHEMA ${schema} TO ${ROLE}; RESET search_path`)
}

const open = useBridges()
const asRole = () => {
  const url = new URL(database.url)
  Object.assign(url, { username: ROLE, password: 'x' })
  return url.href
}
const connect = (schema: string, options: AuthBridgeOptions = {}, url = database.url) =>
  open(url, { tables: { sessions: `${schema}.sessions` }, userCheck: 'none', secureCookie: false, ...options })
const rowOf = async (schema: string, sessionId: string) =>
  (await database.client.query(`SELECT * FROM ${schema}.sessions WHERE session_id = $1`, [sessionId])).rows[0]
const rejects = (call: Promise<unknown>, code: string, message: string) =>
  expect(call).rejects.toMatchObject({ code, message: expect.stringContaining(message) })

async function isLive(bridge: AuthBridge, owner: { tenant?: unknown; userId?: unknown }, sessionId: string) {
  const claims = { tenant: owner.tenant, id: owner.userId, session_id: sessionId, user_type: 'internal' }
  return (await bridge.getSession(await mintCookie(claims, { secret: SECRET }))).session_id === sessionId
}

describe.each(Object.entries(SHAPES))('%s', (schema, { options, owner: given, spelled, more, row }) => {
  const owner = (given ?? { tenant: randomUUID(), userId: randomUUID() }) as { tenant: string; userId: string }
  const same = (spelled ?? owner) as typeof owner
  let bridge: AuthBridge
  const start = async (limit: Partial<NewSession> = {}) =>
    (await bridge.createSession({ ...owner, ...more, ...limit })).sessionId
  const ids = async () => (await bridge.listSessions(same)).map(({ sessionId }) => sessionId)

  test('sessions start, are listed, end, and are deleted', async () => {
    bridge = connect(schema, options, schema === 'secured' ? asRole() : database.url)
    const [first, second] = [await start(), await start()] as const
    expect(await rowOf(schema, first)).toMatchObject(row ?? {})
    expect((await ids()).toSorted()).toEqual([first, second].toSorted())
    expect([await isLive(bridge, owner, first), await isLive(bridge, same, second)]).toEqual([true, true])

    await rejects(start({ maxSessions: 2, whenFull: 'refuse' }), 'ERR_AUTH_BRIDGE_TOO_MANY_SESSIONS', '2 sessions')
    const third = await start({ ...same, maxSessions: 2 })
    const left = await ids()
    expect(left).toHaveLength(2)
    expect(left).toContain(third)
    const gone = left.includes(first) ? second : first
    expect([await isLive(bridge, owner, gone), await isLive(bridge, owner, third)]).toEqual([false, true])

    const revoke = () => bridge.revokeSession({ ...same, sessionId: third })
    expect([await revoke(), await revoke(), await isLive(bridge, owner, third)]).toEqual([true, false, false])
    const kept = await start({ maxSessions: 9, whenFull: 'refuse' })
    expect(await bridge.revokeOtherSessions({ ...same, sessionId: kept })).toBe(1)
    expect(await ids()).toEqual([kept])
    expect(await bridge.revokeSessions(same)).toBe(1)
    let ended = 4
    if ('tenant' in owner) {
      await start()
      expect(await bridge.revokeTenantSessions({ tenant: same.tenant })).toBe(1)
      ended++
    }
    expect(await ids()).toEqual([])
    const stays = await start()
    expect(await bridge.deleteEndedSessions({ before: new Date(Date.now() + 60_000) })).toBe(ended)
    const { rows } = await database.client.query(`SELECT trim(session_id::text) AS id FROM ${schema}.sessions`)
    expect(rows).toEqual([{ id: stays }])
  })

  test('times are those of the database, in UTC', async () => {
    bridge = connect(schema, options, schema === 'secured' ? asRole() : database.url)
    const { sessionId, expiresAt } = await bridge.createSession({ ...owner, ...more, maxAge: 600 })
    const seconds = (time: string | null | undefined) =>
      time === null || time === undefined ? time : Math.round((Date.parse(time) - Date.now()) / 1000)
    expect(Math.abs(600 - Number(seconds(expiresAt)))).toBeLessThan(5)
    const listed = (await bridge.listSessions(same)).find((session) => session.sessionId === sessionId)
    const { createdAt, lastActivityAt, expiresAt: end } = listed ?? {}
    for (const time of [createdAt, lastActivityAt]) {
      if (time !== undefined) expect(Math.abs(Number(seconds(time)))).toBeLessThan(5)
    }
    if (options?.ignoreExpiresAt) expect(end).toBeUndefined()
    else expect(Math.abs(600 - Number(seconds(end)))).toBeLessThan(5)
    const ended = async (before: number) => bridge.deleteEndedSessions({ before: new Date(Date.now() + before) })
    await bridge.revokeSessions(same)
    expect([await ended(-60_000), await ended(60_000)]).toEqual([0, expect.any(Number)])
    expect(await rowOf(schema, sessionId)).toBeUndefined()
  })
})

describe('what a request says never fails a sign-in', () => {
  const owner = () => ({ tenant: randomUUID(), userId: randomUUID() })
  const needed = { tags: [], place: {}, level: 1 }

  test.each<[string, Partial<NewSession>, object]>([
    ['an address that is none', { ipAddress: 'unknown' }, { ip_address: null }],
    ['an address with a port', { ipAddress: '192.0.2.7:4711' }, { ip_address: null }],
    ['an address with a zone', { ipAddress: 'fe80::1%eth0' }, { ip_address: null }],
    ['a device that the enum does not have', { userAgent: 'Mozilla/5.0 (Googlebot/2.1)' }, { device_type: null }],
  ])('%s', async (_, more, expected) => {
    const bridge = connect('typed')
    const { sessionId } = await bridge.createSession({
      ...owner(),
      loginMethod: 'google',
      columns: needed,
      ...more,
    })
    expect(await rowOf('typed', sessionId)).toMatchObject(expected)
  })
})

describe('what the app gives wrongly is named', () => {
  const owner = { tenant: randomUUID(), userId: randomUUID() }
  const columns = { tags: [], place: {}, level: 1 }
  const good = { ...owner, loginMethod: 'google', columns }
  beforeAll(async () => {
    await create(
      'strict',
      `CREATE TABLE users (tenant uuid, user_id uuid, PRIMARY KEY (tenant, user_id));
       CREATE TABLE sessions (tenant uuid, session_id uuid, user_id uuid, ${NEEDED}, last_activity_at timestamptz,
         revoked_reason text CHECK (revoked_reason <> 'no'), level int CHECK (level > 0),
         PRIMARY KEY (tenant, session_id), FOREIGN KEY (tenant, user_id) REFERENCES users)`,
    )
  })

  test.each<[string, object, string]>([
    ['no method', { loginMethod: undefined }, 'loginMethod: is missing: the table has no default for it'],
    ['a method that the enum does not have', { loginMethod: 'magic' }, 'a value doesn’t fit the type'],
    ['no column', { columns: { ...columns, level: undefined } }, 'columns.level: is missing'],
    ['a number that is too large', { columns: { ...columns, level: 40_000 } }, '(SQLSTATE 22003)'],
    ['no array', { columns: { ...columns, tags: 'a' } }, '(SQLSTATE 22P02)'],
    ['NUL', { columns: { ...columns, place: { a: '\0' } } }, '(SQLSTATE 22P05)'],
    ['half a character', { columns: { ...columns, place: { a: '\ud800' } } }, "columns: can't be read as JSON"],
    ['a name with NUL', { columns: { ...columns, 'a\0b': 1 } }, "columns: can't be read as JSON"],
    ['no name', { columns: { ...columns, '': 1 } }, "columns.: can't be the name of a column"],
    ['a name that PostgreSQL would cut', { columns: { ...columns, ['x'.repeat(64)]: 1 } }, "can't be the name of"],
    [
      'SQL as a name',
      { columns: { ...columns, 'level") VALUES (1); --': 1 } },
      'of relation "sessions" does not exist',
    ],
    ['a quote in a name', { columns: { ...columns, 'a"b': 1 } }, 'column "a"b" of relation'],
  ])('%s', async (_, change, message) => {
    const options: Record<string, unknown> = Object.fromEntries(
      Object.entries({ ...good, ...change }).filter(([, value]) => value !== undefined),
    )
    if ('columns' in change && message.includes('level')) options.columns = { tags: [], place: {} }
    const bridge = connect('typed')
    await rejects(bridge.createSession(options as never), ARGUMENT, message.replace('’', "'"))
    expect(await bridge.listSessions(owner)).toEqual([])
    // It is no fault of the connection.
    expect(bridge.stats().pool).toMatchObject({ connects: 1, size: 1 })
  })

  test('a value that another session has in a unique column', async () => {
    const bridge = connect('typed')
    const create = () => bridge.createSession({ ...good, columns: { ...columns, token: 'once' } })
    await create()
    await rejects(create(), ARGUMENT, 'columns: another session has the same value in a column that is unique')
    expect(await bridge.revokeSessions(owner)).toBe(1)
  })

  test('a user whom the table does not know, and a value that a check refuses', async () => {
    const bridge = connect('strict')
    await rejects(bridge.createSession(owner), ARGUMENT, 'foreign key constraint')
    await database.client.query('INSERT INTO strict.users VALUES ($1, $2)', [owner.tenant, owner.userId])
    await rejects(bridge.createSession({ ...owner, columns: { level: 0 } }), ARGUMENT, 'check constraint')
    await bridge.createSession({ ...owner, columns: { level: 1 } })
    await rejects(bridge.revokeSessions({ ...owner, reason: 'no' }), ARGUMENT, "reason: doesn't fit the column")
    expect(await bridge.revokeSessions({ ...owner, reason: 'yes' })).toBe(1)
  })

  test('a reason that the column can not hold', async () => {
    const bridge = connect('typed')
    await bridge.createSession(good)
    await rejects(bridge.revokeSessions({ ...owner, reason: 'theft' }), ARGUMENT, "reason: doesn't fit the column")
    await rejects(connect('minimal').revokeSessions({ ...owner, reason: 'lost' }), ARGUMENT, 'reason: needs the column')
    expect(await bridge.revokeSessions({ ...owner, reason: 'lost' })).toBe(1)
  })

  test('a table whose sessions have numbers as ids', async () => {
    await create('numbered', withIds('int4', 'int8', 'int4'))
    const bridge = connect('numbered')
    await rejects(bridge.createSession({ tenant: 1, userId: 2 }), DATABASE, 'session_id must be a uuid or a text')
    await database.client.query(
      'INSERT INTO numbered.sessions (tenant, session_id, user_id) VALUES (1, 3, 2), (1, 4, 2)',
    )
    const own = { tenant: 1, userId: 2 }
    expect((await bridge.listSessions({ ...own, current: 3 })).map(({ sessionId }) => sessionId)).toEqual(['3', '4'])
    expect(await bridge.revokeSession({ ...own, sessionId: 3 })).toBe(true)
    expect(await bridge.revokeSession({ ...own, sessionId: '99999999999999999999' })).toBe(false)
    expect(await bridge.revokeSessions(own)).toBe(1)
    expect(await bridge.deleteEndedSessions({ before: new Date(Date.now() + 60_000) })).toBe(2)
  })
})

describe('columns that need a value which nothing else sets', () => {
  test('the end of a session, where expires_at is ignored', async () => {
    await create('needy', withIds('uuid', 'uuid', 'uuid', 'expires_at timestamptz NOT NULL, revoked_at timestamptz'))
    const bridge = connect('needy', { ignoreExpiresAt: true })
    const owner = { tenant: randomUUID(), userId: randomUUID() }
    await rejects(bridge.createSession(owner), ARGUMENT, 'columns.expires_at: is missing')
    const { sessionId } = await bridge.createSession({ ...owner, columns: { expires_at: 'infinity' } })
    expect((await rowOf('needy', sessionId)).expires_at).toBe(Number.POSITIVE_INFINITY)
  })
})

test('without columns for the activity, those end that would end first', async () => {
  const bridge = connect('minimal')
  const owner = { tenant: randomUUID(), userId: randomUUID() }
  const [short, long] = [await bridge.createSession({ ...owner, maxAge: 60 }), await bridge.createSession(owner)]
  const last = await bridge.createSession({ ...owner, maxAge: 30, maxSessions: 2 })
  expect((await bridge.listSessions(owner)).map(({ sessionId }) => sessionId)).toEqual([long.sessionId, last.sessionId])
  expect(await bridge.revokeSession({ ...owner, sessionId: short.sessionId })).toBe(false)
})

test('rows whose keys no token can have are deleted like others', async () => {
  await create(
    'odd',
    'CREATE TABLE sessions (tenant text, session_id text, user_id text, expires_at timestamptz, revoked_at timestamptz)',
  )
  await database.client.query(`
    INSERT INTO odd.sessions SELECT 'a', repeat('x', 2000) || n, 'u', now() - interval '1 day' FROM generate_series(1, 1500) n;
    INSERT INTO odd.sessions VALUES ('', '', 'u', now() - interval '1 day'), ('é', 'é', 'u', now() - interval '1 day'),
      (NULL, 'a', 'u', now() - interval '1 day'), ('b', NULL, 'u', now() - interval '1 day'), ('c', 'c', 'u', NULL)`)
  expect(await connect('odd').deleteEndedSessions({ before: new Date() })).toBe(1502)
  const { rows } = await database.client.query('SELECT tenant, session_id FROM odd.sessions ORDER BY 1')
  // What has no key can't be named.
  expect(rows).toEqual([
    { tenant: 'b', session_id: null },
    { tenant: 'c', session_id: 'c' },
    { tenant: null, session_id: 'a' },
  ])
})

test('operators and functions before those of PostgreSQL in the search path change no write', async () => {
  const { client } = database
  await client.query(`
    CREATE SCHEMA evil;
    CREATE FUNCTION evil.unnest(anyarray) RETURNS SETOF anyelement LANGUAGE sql AS 'SELECT $1[1] WHERE false';
    CREATE FUNCTION evil.no(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT false';
    CREATE OPERATOR evil.= (FUNCTION = evil.no, LEFTARG = uuid, RIGHTARG = uuid);
    CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '1970-01-01'::timestamptz $$;
    CREATE FUNCTION evil.count() RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
    CREATE FUNCTION evil.pg_advisory_xact_lock(bigint) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadowed'; END $$;
    CREATE FUNCTION evil.jsonb_populate_record(anyelement, jsonb) RETURNS anyelement LANGUAGE sql AS 'SELECT $1';
    CREATE FUNCTION evil.less(float8, float8) RETURNS boolean LANGUAGE sql AS 'SELECT false';
    CREATE OPERATOR evil.< (FUNCTION = evil.less, LEFTARG = float8, RIGHTARG = float8);
    CREATE DOMAIN evil.text AS pg_catalog.text CHECK (false); CREATE DOMAIN evil.float8 AS pg_catalog.float8 CHECK (false);
    CREATE DOMAIN evil.jsonb AS pg_catalog.jsonb CHECK (false)`)
  const url = `${database.url}?options=${encodeURIComponent('-c search_path=evil,public,pg_catalog')}`
  const bridge = connect('uuid', {}, url)
  const owner = { tenant: randomUUID(), userId: randomUUID() }
  await bridge.createSession({ ...owner, columns: { device_name: 'own' } })
  const { sessionId } = await bridge.createSession({ ...owner, maxSessions: 1 })
  await rejects(
    bridge.createSession({ ...owner, maxSessions: 1, whenFull: 'refuse' }),
    'ERR_AUTH_BRIDGE_TOO_MANY_SESSIONS',
    '1',
  )
  expect((await bridge.listSessions(owner)).map((session) => session.sessionId)).toEqual([sessionId])
  expect(await bridge.revokeSession({ ...owner, sessionId })).toBe(true)
  expect(await bridge.deleteEndedSessions({ before: new Date(Date.now() + 60_000) })).toBeGreaterThanOrEqual(2)
  expect(await rowOf('uuid', sessionId)).toBeUndefined()
})

describe('a role that lacks a right', () => {
  test.each<[string, string, (bridge: AuthBridge, owner: { tenant: string; userId: string }) => Promise<unknown>]>([
    ['INSERT', 'SELECT, UPDATE, DELETE', (bridge, owner) => bridge.createSession(owner)],
    ['UPDATE', 'SELECT, INSERT, DELETE', (bridge, owner) => bridge.createSession({ ...owner, maxSessions: 1 })],
    ['UPDATE', 'SELECT, INSERT, DELETE', (bridge, owner) => bridge.revokeSessions(owner)],
    [
      'DELETE',
      'SELECT, INSERT, UPDATE',
      (bridge) => bridge.deleteEndedSessions({ before: new Date(Date.now() + 1e6) }),
    ],
  ])('%s, with %s: the error names it, and reads go on', async (right, granted, write) => {
    const { client } = database
    await client.query(`REVOKE ALL ON uuid.sessions FROM ${ROLE}; GRANT ${granted} ON uuid.sessions TO ${ROLE}`)
    const owner = { tenant: randomUUID(), userId: randomUUID() }
    const admin = connect('uuid')
    const { sessionId } = await admin.createSession(owner)
    await admin.revokeSession({ ...owner, sessionId: (await admin.createSession(owner)).sessionId })
    const bridge = connect('uuid', { maxConnections: 1 }, asRole())
    await rejects(write(bridge, owner), DATABASE, right)
    expect(await isLive(bridge, owner, sessionId)).toBe(true)
    expect(await bridge.listSessions(owner)).toHaveLength(1)
    expect(bridge.stats().pool).toMatchObject({ connects: 1, size: 1 })
  })

  test('a right to the columns that a revocation sets is enough', async () => {
    const { client } = database
    await client.query(`REVOKE ALL ON uuid.sessions FROM ${ROLE}; GRANT SELECT, INSERT ON uuid.sessions TO ${ROLE};
      GRANT UPDATE (revoked_at, revoked_reason, updated_at) ON uuid.sessions TO ${ROLE}`)
    const owner = { tenant: randomUUID(), userId: randomUUID() }
    const bridge = connect('uuid', {}, asRole())
    await bridge.createSession(owner)
    await bridge.createSession({ ...owner, maxSessions: 1 })
    expect(await bridge.revokeSessions(owner)).toBe(1)
  })

  test('a policy of row-level security', async () => {
    await database.client.query(
      `CREATE POLICY own ON secured.sessions AS RESTRICTIVE FOR INSERT TO ${ROLE} WITH CHECK (false)`,
    )
    const bridge = connect('secured', {}, asRole())
    const owner = { tenant: randomUUID(), userId: randomUUID() }
    await rejects(bridge.createSession(owner), DATABASE, 'row-level security')
    await database.client.query('DROP POLICY own ON secured.sessions')
    await bridge.createSession(owner)
  })
})
