// What doctor says about the right to list, slide, start, end and delete sessions, on real PostgreSQL: each statement that it
// prints is run in the situation that it is printed for. Then the role can do all of it, and nobody can do more than before.

import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AuthBridge, type AuthBridgeError, type AuthBridgeOptions } from '../index.js'
import { SECRET } from './support/bridges.js'
import { diagnose, MARKERS } from './support/command-line.js'
import { mintCookie } from './support/cookies.mjs'
import { withClient } from './support/faults.js'
import { startPostgres } from './support/postgres.mjs'
import { runAdvice } from './support/sql.js'
import { createTables } from './support/tenants.mjs'

const VERBS = ['list', 'slide', 'start', 'end', 'delete']
const SINGLE = { multiTenant: false, userCheck: 'none' } as const
/** The rights of a role that reads sessions, as doctor advises them. */
const READ = [
  'GRANT SELECT (tenant, session_id, user_id, expires_at, revoked_at, revoked_reason) ON sessions TO bridge',
  'GRANT SELECT (tenant, user_id, user_type) ON users TO bridge',
]
const FEW = `CREATE TABLE sessions (session_id text PRIMARY KEY, user_id text, expires_at timestamptz, revoked_at timestamptz)`
const READ_FEW = 'GRANT SELECT ON sessions TO bridge'

interface Situation {
  /** What makes it, by a superuser. */
  prepare: string[]
  options?: AuthBridgeOptions
  role?: string
  table?: string
  /** What the role can't do then; all but the statements for it, if there are any. */
  denied?: string[]
}

let server: Awaited<ReturnType<typeof startPostgres>>
let database: string
let client: pg.Client
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.dispose())

beforeEach(async () => {
  database = `db_${randomUUID().replaceAll('-', '')}`
  await withClient(server.url(), (client) => client.query(`CREATE DATABASE ${database}`))
  client = new pg.Client(server.url({ database }))
  await client.connect()
  return async () => {
    for (const role of roles.splice(0)) await client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    await client.end()
  }
})
const roles: string[] = []

/** Makes the tables of schema.sql unless there are others, a role for the bridge, and one of the app that reads. */
async function make({ prepare, role = 'bridge' }: Situation, ownTables = false) {
  if (!ownTables) await createTables(client)
  for (const name of [role, 'other']) {
    roles.push(pg.escapeIdentifier(name))
    await client.query(`CREATE ROLE ${pg.escapeIdentifier(name)} LOGIN PASSWORD '${MARKERS.password}'`)
  }
  for (const statement of prepare) await client.query(statement.replaceAll(' TO bridge', ` TO "${role}"`))
}

const urlOf = (role = 'bridge') => server.url({ database, user: role, password: MARKERS.password })

const examine = async ({ role, options = {} }: Situation) => {
  const env = { AUTH_SECRET: SECRET, DATABASE_URL: urlOf(role), AUTH_BRIDGE_OPTIONS: JSON.stringify(options) }
  const examined = await diagnose({ env })
  const writes = examined.check('writes')
  return { ...examined, writes, denied: deniedBy(writes?.details) }
}
const deniedBy = (details: object = {}) => VERBS.filter((verb) => Reflect.get(details, verb) === false)

/** Does all of it as the role: which of it doesn't work. */
async function attempt({ role, options = {}, table = 'sessions' }: Situation) {
  const ids = { tenant: randomUUID(), user_id: randomUUID(), user_type: 'internal' }
  const isSingle = options.multiTenant === false
  const { tenant, user_id } = ids
  const insert = async (name: string, row: Record<string, unknown>) => {
    const columns = Object.keys(row).filter((column) => !isSingle || column !== 'tenant')
    const values = columns.map((column) => row[column])
    const places = columns.map((_, index) => `$${index + 1}`)
    await client.query(`INSERT INTO ${name} (${columns}) VALUES (${places})`, values)
  }
  if (options.userCheck !== 'none') await insert('users', ids)
  const start = async (more: object) => {
    const session = { tenant, session_id: randomUUID(), user_id, ...more }
    await insert(table, session)
    return session.session_id
  }
  const hour = 3_600_000
  const ends = options.ignoreExpiresAt ? {} : { expires_at: new Date(Date.now() + hour) }
  const session_id = await start(ends)
  await start({ revoked_at: new Date(Date.now() - hour) })
  const bridge = new AuthBridge({ secret: SECRET, secureCookie: false, databaseUrl: urlOf(role), ...options })
  const owner = { ...(isSingle ? {} : { tenant }), userId: user_id } as { tenant: string; userId: string }
  const cookie = await mintCookie({ ...ids, id: user_id, session_id }, { secret: SECRET })
  expect((await bridge.getSession(cookie)).session_id).toBe(session_id)
  const device = { loginMethod: 'google', ipAddress: '192.0.2.7', userAgent: 'curl/8.0' }
  const attempts: Record<string, () => Promise<unknown>> = {
    list: async () => expect(await bridge.listSessions(owner)).toMatchObject([{ sessionId: session_id }]),
    slide: async () => expect((await bridge.refreshSession(cookie)).setCookie).toHaveLength(1),
    start: () => bridge.createSession({ ...owner, ...device }),
    'start within a limit': () => bridge.createSession({ ...owner, ...device, maxSessions: 1 }),
    end: async () => {
      const reason = isSingle ? {} : { reason: 'lost' }
      expect(await bridge.revokeSession({ ...owner, sessionId: await start(ends), ...reason })).toBe(true)
    },
    delete: async () => expect(await bridge.deleteEndedSessions({ before: new Date() })).toBeGreaterThan(0),
  }
  const failed: string[] = []
  for (const [verb, run] of Object.entries(attempts)) {
    await run().catch(({ code }: AuthBridgeError) => failed.push(`${verb}: ${code}`))
  }
  await bridge.close()
  return failed
}

/** The rights of all but the role, and who else a policy is for. */
async function rightsOfOthers(role = 'bridge') {
  const { rows } = await client.query(
    `SELECT grantee, table_name, column_name, privilege_type FROM information_schema.column_privileges
       WHERE grantee NOT IN ($1, 'postgres') AND table_schema NOT IN ('pg_catalog', 'information_schema')
     UNION ALL SELECT grantee, table_name, '', privilege_type FROM information_schema.table_privileges
       WHERE grantee NOT IN ($1, 'postgres') AND table_schema NOT IN ('pg_catalog', 'information_schema')
     UNION ALL SELECT grantee, object_name, '', privilege_type FROM information_schema.usage_privileges
       WHERE grantee NOT IN ($1, 'postgres') AND object_schema NOT IN ('pg_catalog', 'information_schema')
     UNION ALL SELECT roles::text, tablename, policyname, cmd FROM pg_policies WHERE roles::text <> '{' || $1 || '}'
     UNION ALL SELECT rolname, '', '', concat(rolsuper, rolbypassrls) FROM pg_roles WHERE rolname <> $1
     ORDER BY 1, 2, 3, 4`,
    [role],
  )
  return rows
}

const RLS = [
  ...READ,
  'ALTER TABLE sessions ENABLE ROW LEVEL SECURITY',
  'CREATE POLICY authjs_bridge ON sessions FOR SELECT TO bridge USING (true)',
]

describe('what it advises is run, and then all of it works', () => {
  const situations: [string, Situation & { ownTables?: boolean }][] = [
    ['the tables of schema.sql', { prepare: READ }],
    [
      'an absolute limit',
      { prepare: [...READ, 'GRANT SELECT (created_at) ON sessions TO bridge'], options: { absoluteMaxAge: 86_400 } },
    ],
    ['a role whose name needs quotes', { prepare: READ, role: 'The Bridge' }],
    [
      'another schema, and names that need quotes',
      {
        prepare: [
          'CREATE SCHEMA "Auth"',
          'ALTER TABLE sessions RENAME TO "Session"',
          'ALTER TABLE "Session" SET SCHEMA "Auth"',
          'GRANT USAGE ON SCHEMA "Auth" TO bridge',
          'GRANT SELECT (tenant, session_id, user_id, expires_at, revoked_at) ON "Auth"."Session" TO bridge',
          READ[1] ?? '',
        ],
        options: { tables: { sessions: 'Auth.Session', users: 'public.users' } },
        table: '"Auth"."Session"',
      },
    ],
    [
      'times without a zone',
      {
        prepare: [
          ...['expires_at', 'revoked_at', 'last_activity_at', 'created_at', 'updated_at'].map(
            (column) => `ALTER TABLE sessions ALTER ${column} TYPE timestamp`,
          ),
          ...READ,
        ],
      },
    ],
    ['few columns, no tenants', { prepare: [FEW, READ_FEW], options: SINGLE, ownTables: true, denied: VERBS.slice(1) }],
    [
      'no column to slide',
      {
        prepare: [FEW, 'ALTER TABLE sessions DROP expires_at', READ_FEW],
        options: { ...SINGLE, ignoreExpiresAt: true },
        ownTables: true,
        denied: VERBS.slice(1),
      },
    ],
    [
      'a number from a sequence',
      {
        prepare: [FEW, 'ALTER TABLE sessions ADD number serial', READ_FEW],
        options: SINGLE,
        ownTables: true,
        denied: VERBS.slice(1),
      },
    ],
    [
      'partitions',
      {
        prepare: [
          'ALTER TABLE sessions RENAME TO whole',
          'CREATE TABLE sessions (LIKE whole INCLUDING ALL) PARTITION BY HASH (tenant)',
          'CREATE TABLE part PARTITION OF sessions FOR VALUES WITH (MODULUS 1, REMAINDER 0)',
          ...READ,
        ],
      },
    ],
    [
      'a view that can be written through',
      { prepare: ['ALTER TABLE sessions RENAME TO logins', 'CREATE VIEW sessions AS TABLE logins', ...READ] },
    ],
    ['row-level security, as the role of the bridge', { prepare: RLS, role: 'authjs_bridge' }],
    [
      'row-level security with a restrictive policy for what is written',
      {
        prepare: [...RLS, 'CREATE POLICY no ON sessions AS RESTRICTIVE FOR UPDATE USING (false)'],
        role: 'authjs_bridge',
      },
    ],
  ]
  test.each(situations)('%s', async (_, { ownTables, ...situation }) => {
    const { role, denied = VERBS } = situation
    await make(situation, ownTables)
    await client.query(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO other`)
    const before = await rightsOfOthers(role)

    const first = await examine(situation)
    expect({ code: first.code, failed: first.withStatus('failed'), writes: first.writes?.status }).toEqual({
      ...{ code: 0, failed: [], writes: 'ok' },
    })
    expect(first.denied).toEqual(denied)
    const failed = await attempt(situation)
    expect([...new Set(failed.map((line) => line.split(/[ :]/)[0]))]).toEqual(denied)

    expect(await runAdvice(client, first.writes?.advice)).not.toEqual([])
    const examined = await examine(situation)
    expect(examined.writes).toMatchObject({
      status: 'ok',
      message: expect.stringMatching(/ may also list, slide, start/),
    })
    expect(examined.writes?.advice).toBeUndefined()
    expect(await attempt(situation)).toEqual([])
    expect(await rightsOfOthers(role)).toEqual(before)
  })

  const limited: [string, string[]][] = [
    ['row-level security', RLS],
    ['a restrictive policy', [...RLS, 'CREATE POLICY no ON sessions AS RESTRICTIVE FOR UPDATE USING (false)']],
  ]
  const sections = limited.flatMap(([name, prepare]) => VERBS.map((verb) => [verb, name, prepare] as const))
  test.each(sections)('what is for one thing alone: to %s, with %s', async (verb, _, prepare) => {
    const situation = { prepare, role: 'authjs_bridge' }
    await make(situation)
    const { writes, denied } = await examine(situation)
    expect(denied).toEqual(VERBS)
    const [, ...sections] = (writes?.advice ?? '').split(/^-- For /m)
    expect(sections).toHaveLength(VERBS.length)
    expect(await runAdvice(client, sections[VERBS.indexOf(verb)]?.replace(/^.*:$/m, ''))).not.toEqual([])
    expect((await examine(situation)).denied).not.toContain(verb)
    expect((await attempt(situation)).filter((line) => line.startsWith(`${verb}:`))).toEqual([])
  })

  test('one after the other: each statement allows what is said above it, by columns alone', async () => {
    await make({ prepare: READ })
    let { denied, writes } = await examine({ prepare: READ })
    expect(writes?.message).toBe('bridge may only read sessions, not list, slide, start, end, delete them')
    for (const statement of (writes?.advice ?? '').split('\n').filter((line) => !line.startsWith('--'))) {
      await runAdvice(client, statement)
      const left = await examine({ prepare: READ })
      expect(left.denied).toEqual(denied.slice(1))
      denied = left.denied
    }
    expect(denied).toEqual([])
    const { rows } = await client.query(
      `SELECT privilege_type FROM information_schema.table_privileges WHERE grantee = 'bridge'`,
    )
    expect(rows).toEqual([{ privilege_type: 'DELETE' }])
    const may = `SELECT column_name FROM information_schema.column_privileges WHERE grantee = 'bridge' AND table_name = 'sessions' AND privilege_type =`
    const updated = (await client.query(`${may} 'UPDATE' ORDER BY 1`)).rows.map(({ column_name }) => column_name)
    expect(updated).toEqual(['expires_at', 'last_activity_at', 'revoked_at', 'revoked_reason', 'updated_at'])
  })
})

describe('where no statement would do, it says why', () => {
  const situations: [string, Situation, string[], RegExp][] = [
    [
      'a view that shows an end that is computed',
      {
        prepare: [
          'ALTER TABLE sessions RENAME TO logins',
          `CREATE VIEW sessions AS SELECT tenant, session_id, user_id, revoked_at, revoked_reason, last_activity_at, created_at,
             expires_at + interval '0' AS expires_at FROM logins`,
          'GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO bridge',
          READ[1] ?? '',
        ],
      },
      ['slide', 'start'],
      /^-- No right allows it: sessions is a view, and PostgreSQL can't set expires_at through it\.$/m,
    ],
    [
      'a view of two tables',
      {
        prepare: [
          'ALTER TABLE sessions RENAME TO logins',
          'CREATE VIEW sessions AS SELECT l.* FROM logins l JOIN (VALUES (1)) one ON true',
          'GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO bridge',
          READ[1] ?? '',
        ],
      },
      VERBS.slice(1),
      /^-- No right allows it: sessions is a view, and PostgreSQL can't run DELETE on it\.$/m,
    ],
    [
      'row-level security, as a role that the app may have, too',
      {
        prepare: [
          'GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO bridge',
          READ[1] ?? '',
          'ALTER TABLE sessions ENABLE ROW LEVEL SECURITY',
          `CREATE POLICY tenant ON sessions TO bridge USING (tenant::text = current_setting('app.tenant', true))`,
        ],
      },
      VERBS.slice(1),
      /^-- Row-level security limits UPDATE for bridge\. Give the bridge a role of its own, authjs_bridge: see the check row-security\.$/m,
    ],
  ]
  test.each(situations)('%s', async (_, situation, denied, advice) => {
    await make(situation)
    const { writes, denied: found } = await examine(situation)
    expect(writes?.status).toBe('ok')
    expect(found).toEqual(denied)
    expect(writes?.advice).toMatch(advice)
    expect(await runAdvice(client, writes?.advice)).toEqual([])
  })

  test('a view whose rights are those of the user on the table', async () => {
    const prepare = [
      'ALTER TABLE sessions RENAME TO logins',
      'CREATE VIEW sessions WITH (security_invoker) AS TABLE logins',
      ...READ,
      'GRANT SELECT ON logins TO bridge',
    ]
    await make({ prepare })
    const { writes } = await examine({ prepare })
    expect(writes).toEqual({
      ...{ id: 'writes', status: 'ok' },
      message: 'sessions is a view with security_invoker: the rights of bridge on public.logins count',
    })
  })

  test('a database that is read-only for the role', async () => {
    const prepare = [...READ, `ALTER DATABASE ${database} SET default_transaction_read_only = on`]
    await make({ prepare })
    const { code, writes } = await examine({ prepare })
    expect({ code, writes }).toEqual({
      code: 0,
      writes: {
        ...{ id: 'writes', status: 'ok', message: 'are refused: default_transaction_read_only is on' },
        advice: '-- Nothing to do if bridge is only to read. Else connect to a database, or as a user, without it.',
      },
    })
  })
})
