// Each statement that doctor prints can be run in the situation that it is printed for, and mends it. Where there is no such
// statement, it prints none.

import { readFile } from 'node:fs/promises'
import type pg from 'pg'
import { describe, expect, test } from 'vitest'
import type { Check } from '../cli/native.js'
import type { AuthBridgeOptions } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { diagnose, MARKERS, run } from './support/command-line.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { runAdvice } from './support/sql.js'
import { claimsOf, createSession, createTables, createUser } from './support/tenants.mjs'

const examine = (url: string, options: AuthBridgeOptions = {}) =>
  diagnose({ env: { AUTH_SECRET: MARKERS.secret, DATABASE_URL: url, AUTH_BRIDGE_OPTIONS: JSON.stringify(options) } })
const hasStatements = ({ advice = '' }: Check) => /;$/m.test(advice)
const PAST = new Date('2026-01-02')
const FUTURE = new Date('2096-01-02')
const NIL = '00000000-0000-0000-0000-000000000000'

async function createTenants(client: pg.Client) {
  await createTables(client)
  for (let tenant = 0; tenant < 3; tenant++) {
    const user = await createUser(client)
    for (const columns of [{}, { expires_at: FUTURE }, { expires_at: PAST }, { revoked_at: PAST }]) {
      await createSession(client, user, columns)
    }
  }
}
const changed = (statements: string[]) => async (client: pg.Client) => {
  await createTenants(client)
  for (const statement of statements) await client.query(statement)
}

/** The same columns, partitioned; `key` are constraints. */
const partitioned = (by: string, partitions: string[], key = '') => [
  'ALTER TABLE sessions RENAME TO whole',
  `CREATE TABLE sessions (LIKE whole INCLUDING DEFAULTS${key && `, ${key}`}) PARTITION BY ${by}`,
  ...partitions.map((values, index) => `CREATE TABLE month_${index} PARTITION OF sessions ${values}`),
  'INSERT INTO sessions TABLE whole',
  'DROP TABLE whole',
]
const MONTHS = [`FOR VALUES FROM (MINVALUE) TO ('2026-01-01')`, `FOR VALUES FROM ('2026-01-01') TO (MAXVALUE)`]
const HASHES = [0, 1].map((remainder) => `FOR VALUES WITH (MODULUS 2, REMAINDER ${remainder})`)
const MANY = `INSERT INTO sessions (tenant, session_id, user_id)
  SELECT tenant, gen_random_uuid(), user_id FROM users, generate_series(1, 2000)`
const asBytes = (table: string, column: string) =>
  `ALTER TABLE ${table} ALTER ${column} TYPE bytea USING decode(replace(${column}::text, '-', ''), 'hex')`
const asText = (table: string, column: string) => `ALTER TABLE ${table} ALTER ${column} TYPE text`
const asNumber = (factor: number) =>
  ['expires_at', 'revoked_at'].map(
    (column) => `ALTER TABLE sessions ALTER ${column} TYPE bigint USING extract(epoch FROM ${column}) * ${factor}`,
  )

describe('what it advises is run, and then all is well', () => {
  const counts = { live: 6, expired: 3, revoked: 3 }
  const cases: [string, string[], string[], string?, object?][] = [
    ['no index', ['ALTER TABLE sessions DROP CONSTRAINT sessions_pkey', MANY], ['unique-keys', 'indexes'], '', {}],
    [
      'an index on the tenant alone',
      ['ALTER TABLE sessions DROP CONSTRAINT sessions_pkey', 'CREATE INDEX ON sessions (tenant)'],
      ['unique-keys', 'indexes'],
    ],
    [
      'no index, in a schema outside of the search path, whose name is reserved',
      [
        'CREATE SCHEMA "order"',
        'ALTER TABLE sessions DROP CONSTRAINT sessions_pkey',
        'ALTER TABLE users DROP CONSTRAINT users_pkey',
      ].concat(['sessions', 'users'].map((table) => `ALTER TABLE ${table} SET SCHEMA "order"`)),
      ['unique-keys', 'indexes'],
      '?schema=order',
    ],
    ['partitions by tenant without a key', partitioned('HASH (tenant)', HASHES), ['unique-keys', 'indexes']],
    ['partitions by time without an index', partitioned('RANGE (created_at)', MONTHS), ['indexes']],
    ['times in seconds', asNumber(1), ['columns', 'lookups']],
    ['times in milliseconds', asNumber(1000), ['columns', 'lookups']],
    [
      'a boolean for the time of revocation',
      [
        'ALTER TABLE sessions ALTER revoked_at TYPE boolean USING revoked_at IS NOT NULL',
        'ALTER TABLE sessions ALTER revoked_at SET NOT NULL, ALTER revoked_at SET DEFAULT false',
      ],
      ['columns'],
    ],
    [
      'times without a zone, with a default',
      [
        'ALTER TABLE sessions ALTER expires_at TYPE timestamp',
        `ALTER TABLE sessions ALTER expires_at SET DEFAULT now() + '30 days'`,
      ],
      ['columns'],
    ],
    [
      'ids as bytes',
      [asBytes('sessions', 'session_id'), asBytes('sessions', 'user_id'), asBytes('users', 'user_id')],
      ['columns', 'lookups'],
    ],
    [
      'ids as numbers that are no integers',
      ['sessions', 'users'].map((table) => `ALTER TABLE ${table} ALTER user_id TYPE numeric USING 7`),
      ['columns', 'lookups'],
    ],
    ['users by uuid in sessions, and by text in users', [asText('users', 'user_id')], ['columns', 'lookups']],
    ['the reverse', [asText('sessions', 'user_id')], ['columns', 'lookups']],
    [
      'users by citext in sessions, and by integer in users',
      [
        'CREATE EXTENSION citext',
        `ALTER TABLE sessions ALTER user_id TYPE citext USING '7'`,
        'ALTER TABLE users ALTER user_id TYPE integer USING 7',
      ],
      ['columns', 'lookups'],
    ],
    ['tenants by text in sessions, and by uuid in users', [asText('sessions', 'tenant')], ['columns', 'lookups']],
    [
      'an index on an expression alone',
      [
        'ALTER TABLE sessions DROP CONSTRAINT sessions_pkey',
        asText('sessions', 'session_id'),
        'CREATE UNIQUE INDEX ON sessions (lower(session_id))',
      ],
      ['unique-keys', 'indexes'],
    ],
    [
      'an index with a condition alone',
      [
        'ALTER TABLE sessions DROP CONSTRAINT sessions_pkey',
        'CREATE UNIQUE INDEX ON sessions (tenant, session_id) WHERE revoked_at IS NULL',
      ],
      ['unique-keys', 'indexes'],
    ],
    [
      'an index on the tenant and an expression of the user',
      ['ALTER TABLE users DROP CONSTRAINT users_pkey', 'CREATE INDEX ON users (tenant, md5(user_id::text))'],
      ['unique-keys', 'indexes'],
    ],
    [
      'a key in another collation than that of the column',
      [
        'ALTER TABLE sessions DROP CONSTRAINT sessions_pkey',
        asText('sessions', 'session_id'),
        'CREATE UNIQUE INDEX ON sessions (tenant, session_id COLLATE "C")',
      ],
      ['indexes'],
    ],
    [
      'a hash index alone, which the plan can use',
      ['ALTER TABLE sessions DROP CONSTRAINT sessions_pkey', 'CREATE INDEX ON sessions USING hash (session_id)'],
      ['unique-keys'],
    ],
    [
      'no revoked_at, no revoked_reason',
      ['ALTER TABLE sessions DROP revoked_at, DROP revoked_reason'],
      ['columns', 'lookups'],
      '',
      { live: 9, expired: 3 },
    ],
  ]

  describe.each(cases)('%s', (_, statements, ids, parameters = '', expected = counts) => {
    const database = useDatabase(changed(statements))
    test('in as many rounds as it takes', async () => {
      const first = await examine(database.url + parameters)
      expect([...first.withStatus('failed'), ...first.withStatus('warning')].toSorted()).toEqual(ids.toSorted())
      let examined = first
      for (let round = 0; round < 3 && examined.checks.some(hasStatements); round++) {
        for (const { advice } of examined.checks.filter(hasStatements)) await runAdvice(database.client, advice)
        await database.client.query('ANALYZE')
        examined = await examine(database.url + parameters)
      }
      expect(examined.checks.filter(({ status }) => status !== 'ok')).toEqual([])
      expect(examined.check('sessions')?.details).toMatchObject(expected)
    })
  })
})

describe('nothing is wrong, and nothing is told', () => {
  const cases: [string, string[]][] = [
    [
      'an index on tenant and user beside the right one',
      ['CREATE INDEX ON sessions (tenant, user_id)', MANY, 'ANALYZE'],
    ],
    ['the same on empty tables', ['CREATE INDEX ON sessions (tenant, user_id)', 'TRUNCATE sessions, users', 'ANALYZE']],
    [
      'partitions by time, with a key',
      partitioned('RANGE (created_at)', MONTHS, 'PRIMARY KEY (tenant, session_id, created_at)'),
    ],
    [
      'views of tables with other names',
      [
        'ALTER TABLE sessions RENAME TO logins',
        'ALTER TABLE logins RENAME session_id TO id',
        'CREATE VIEW sessions AS SELECT *, id AS session_id FROM logins',
        'ALTER TABLE users RENAME TO people',
        'CREATE VIEW between AS SELECT tenant, user_id, user_type FROM people',
        'CREATE VIEW users AS TABLE between',
      ],
    ],
    ['times of any precision', ['ALTER TABLE sessions ALTER expires_at TYPE timestamptz(3)']],
  ]
  describe.each(cases)('%s', (name, statements) => {
    const database = useDatabase(changed(statements))
    test('is ok in every point', async () => {
      const { checks, check } = await examine(database.url)
      expect(checks.filter(({ status }) => status !== 'ok')).toEqual([])
      if (!name.startsWith('views')) return
      const views = /^view public\.sessions of public\.logins, view public\.users of public\.people;/
      expect(check('tables')?.message).toMatch(views)
    })
  })
})

describe('where no statement would do, it says what stands in the way', () => {
  const cases: [string, string[], [string, Check['status'], RegExp, RegExp]][] = [
    [
      'ids as bytes, with foreign keys',
      [
        asBytes('sessions', 'user_id'),
        asBytes('users', 'user_id'),
        'ALTER TABLE sessions ADD FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, user_id)',
      ],
      [
        'columns',
        'failed',
        /sessions\.user_id is bytea/,
        /together with constraint sessions_tenant_user_id_fkey on table/,
      ],
    ],
    [
      'ids as bytes, with a default',
      [
        asBytes('sessions', 'session_id'),
        `ALTER TABLE sessions ALTER session_id SET DEFAULT decode(md5(random()::text), 'hex')`,
      ],
      [
        'columns',
        'failed',
        /session_id is bytea/,
        /together with default value for column session_id of table sessions/,
      ],
    ],
    [
      'users by uuid in sessions, and by integer in users',
      ['ALTER TABLE users ALTER user_id TYPE integer USING 7'],
      [
        'columns',
        'failed',
        /^sessions\.user_id is uuid, but users\.user_id is integer: they can't be compared$/,
        /^-- sessions\.user_id must be bigint, to which uuid can't be converted\.$/,
      ],
    ],
    [
      'users by uuid in sessions, whose column is used elsewhere',
      [asText('users', 'user_id'), `ALTER TABLE sessions ADD CHECK (user_id <> '${NIL}')`],
      [
        'columns',
        'failed',
        /they can't be compared$/,
        /^-- Change sessions\.user_id together with constraint .*, or make sessions a view that shows user_id::text as user_id\.$/,
      ],
    ],
    [
      'users by uuid in a view of sessions',
      [asText('users', 'user_id'), 'ALTER TABLE sessions RENAME TO logins', 'CREATE VIEW sessions AS TABLE logins'],
      [
        'columns',
        'failed',
        /they can't be compared$/,
        /^-- sessions is a view of public\.logins: have it show user_id::text as user_id\.$/,
      ],
    ],
    [
      'no tenant',
      ['ALTER TABLE users DROP tenant', 'ALTER TABLE sessions DROP tenant'],
      [
        'columns',
        'failed',
        /^sessions\.tenant is missing; users\.tenant is missing$/,
        /An app without tenants sets the option multiTenant: false\.$/,
      ],
    ],
    [
      'a time without a zone that a view shows, too',
      ['ALTER TABLE sessions ALTER expires_at TYPE timestamp', 'CREATE VIEW soon AS SELECT expires_at FROM sessions'],
      ['columns', 'warning', /expires_at is timestamp/, /together with rule _RETURN on view soon/],
    ],
    [
      'a name that would be a statement of its own',
      [
        'ALTER TABLE sessions ALTER expires_at TYPE timestamp',
        'CREATE VIEW "x\nDROP TABLE users;" AS SELECT expires_at FROM sessions',
      ],
      [
        'columns',
        'warning',
        /expires_at is timestamp/,
        /^-- .*together with rule _RETURN on view "x DROP TABLE users;"\.$/,
      ],
    ],
    [
      'a type that nothing converts',
      ['ALTER TABLE sessions DROP expires_at', 'ALTER TABLE sessions ADD expires_at interval'],
      ['columns', 'failed', /expires_at is interval/, /to which interval can't be converted/],
    ],
    [
      'a column that must have values',
      ['ALTER TABLE users DROP user_type'],
      [
        'columns',
        'failed',
        /users\.user_type is missing/,
        /with a value in each row.* sets the option userCheck: 'exists'\.$/,
      ],
    ],
    [
      'a view that shows a time without a zone',
      [
        'ALTER TABLE sessions RENAME TO logins',
        'CREATE VIEW sessions AS SELECT tenant, session_id, user_id, revoked_at, revoked_reason, expires_at::timestamp FROM logins',
      ],
      [
        'columns',
        'warning',
        /expires_at is timestamp/,
        /sessions is a view of public\.logins: have it show expires_at as/,
      ],
    ],
    [
      'a view of a table without an index',
      [
        'ALTER TABLE sessions RENAME TO logins',
        'ALTER TABLE logins DROP CONSTRAINT sessions_pkey',
        'CREATE VIEW sessions AS TABLE logins',
      ],
      ['indexes', 'warning', /whole table logins, behind a view/, /^Unless it is small/],
    ],
    [
      'a view that casts an id',
      [
        'ALTER TABLE sessions RENAME TO logins',
        `CREATE VIEW sessions AS SELECT tenant, session_id::text AS session_id, user_id, expires_at, revoked_at,
           revoked_reason FROM logins`,
        'ALTER TABLE logins DROP CONSTRAINT sessions_pkey, ADD PRIMARY KEY (session_id)',
      ],
      ['indexes', 'warning', /whole table logins, behind a view/, /must show them without a cast/],
    ],
    [
      'a materialized view',
      [
        'ALTER TABLE sessions RENAME TO logins',
        'CREATE MATERIALIZED VIEW sessions AS TABLE logins',
        'CREATE UNIQUE INDEX ON sessions (tenant, session_id)',
      ],
      ['tables', 'failed', /^materialized view .*a revoked session stays live$/, /^Make it a view/],
    ],
    [
      'a view of a materialized view',
      [
        'ALTER TABLE sessions RENAME TO logins',
        'CREATE MATERIALIZED VIEW copy AS TABLE logins',
        'CREATE VIEW sessions AS TABLE copy',
      ],
      ['tables', 'failed', /^view public\.sessions of public\.copy.*a revoked session stays live$/, /^Make it a view/],
    ],
  ]
  describe.each(cases)('%s', (_, statements, [id, status, message, advice]) => {
    const database = useDatabase(changed(statements))
    test('without any statement', async () => {
      const { check, checks } = await examine(database.url)
      expect(check(id)).toMatchObject({
        ...{ status, message: expect.stringMatching(message), advice: expect.stringMatching(advice) },
      })
      expect(checks.filter(hasStatements)).toEqual([])
    })
  })

  const unkeyed = useDatabase(
    changed(['ALTER TABLE users RENAME TO people', 'CREATE MATERIALIZED VIEW users AS TABLE people']),
  )
  test('a materialized view for the users is a warning, and its index is made', async () => {
    const { check } = await examine(unkeyed.url)
    expect(check('tables')).toMatchObject({
      status: 'warning',
      message: expect.stringMatching(/a user who is gone stays$/),
    })
    await runAdvice(unkeyed.client, check('unique-keys')?.advice)
    expect((await examine(unkeyed.url)).withStatus('warning')).toEqual(['tables'])
  })
})

describe('tables of an adapter', () => {
  /** As the documentation of each has them, the message, and what `npx authjs-bridge schema --for` calls the adapter. */
  const ADAPTERS: [string, string, RegExp, string][] = [
    [
      '@auth/pg-adapter',
      `CREATE TABLE users (id SERIAL PRIMARY KEY, name VARCHAR(255), email VARCHAR(255), "emailVerified" TIMESTAMPTZ, image TEXT);
       CREATE TABLE sessions (id SERIAL PRIMARY KEY, "userId" INTEGER NOT NULL, expires TIMESTAMPTZ NOT NULL,
         "sessionToken" VARCHAR(255) NOT NULL)`,
      /^public\.sessions holds database sessions/,
      '--for auth-adapter | psql "$DATABASE_URL"',
    ],
    [
      '@auth/prisma-adapter',
      `CREATE TABLE "User" (id TEXT PRIMARY KEY, name TEXT, email TEXT UNIQUE, "emailVerified" TIMESTAMP(3), image TEXT);
       CREATE TABLE "Session" ("sessionToken" TEXT PRIMARY KEY, "userId" TEXT NOT NULL, expires TIMESTAMP(3) NOT NULL)`,
      /^sessions and users not found .*; public\.Session holds database sessions/,
      '--for prisma | psql "$DATABASE_URL"',
    ],
    [
      '@auth/drizzle-adapter',
      `CREATE TABLE "user" (id text PRIMARY KEY, name text, email text UNIQUE, "emailVerified" timestamp, image text);
       CREATE TABLE session ("sessionToken" text PRIMARY KEY, "userId" text NOT NULL, expires timestamp NOT NULL)`,
      /^sessions and users not found .*; public\.session holds database sessions/,
      '--for drizzle | psql "$DATABASE_URL"',
    ],
    [
      '@auth/supabase-adapter',
      `CREATE SCHEMA next_auth;
       CREATE TABLE next_auth.users (id uuid PRIMARY KEY, name text, email text, "emailVerified" timestamptz, image text);
       CREATE TABLE next_auth.sessions (id uuid PRIMARY KEY, expires timestamptz, "sessionToken" text, "userId" uuid)`,
      /^sessions and users not found .*; next_auth\.sessions holds database sessions/,
      '--for prisma, --for drizzle or --for auth-adapter',
    ],
  ]
  const open = useBridges()

  const OWN = { multiTenant: false, userCheck: 'exists' } as const

  describe.each(ADAPTERS)('%s', (_, tables, message, recipe) => {
    const database = useDatabase((client) => client.query(tables))
    const [, adapter] = /--for (\S+) \|/.exec(recipe) ?? []
    if (adapter)
      test('the recipe that is advised gives the bridge tables of its own', async () => {
        const { stdout } = await run(['schema', '--for', adapter])
        await database.client.query(stdout)
        const own = { sessions: 'authjs_bridge.sessions', users: 'authjs_bridge.users' }
        const { checks } = await examine(database.url, { tables: own, ...OWN })
        await database.client.query('DROP SCHEMA authjs_bridge CASCADE')
        expect(checks.filter(({ status }) => status !== 'ok')).toEqual([])
      })

    test('are recognised, and what is advised gives the bridge tables of its own', async () => {
      const { check, withStatus } = await examine(database.url)
      const found = check(withStatus('failed')[0] ?? '')
      expect(found?.message).toMatch(message)
      const advice = found?.advice?.split('\n') ?? []
      expect(advice).toEqual([
        expect.stringMatching(/strategy: 'jwt'.*AUTH_BRIDGE_OPTIONS:$/),
        `npx authjs-bridge schema ${recipe}`,
        expect.stringMatching(/set AUTH_BRIDGE_DATABASE_URL to the value of DATABASE_URL with schema=authjs_bridge:$/),
        expect.stringMatching(/^psql "\$DATABASE_URL" --command/),
      ])
      const [, ...commands] = advice[3]?.split(' --') ?? []
      for (const command of commands) {
        const [, name, value = ''] = /^(command|file) '?(.+?)'?$/.exec(command) ?? []
        const file = new URL(`../${value.replace('node_modules/authjs-bridge/', '')}`, import.meta.url)
        await database.client.query(name === 'file' ? await readFile(file, 'utf8') : value)
      }
      const url = `${database.url}?schema=authjs_bridge`
      const env = { AUTH_SECRET: MARKERS.secret, DATABASE_URL: database.url, AUTH_BRIDGE_DATABASE_URL: url }
      expect((await diagnose({ env })).checks.filter(({ status }) => status !== 'ok')).toEqual([])
      const user = await createUser(database.client)
      const session = await createSession(database.client, user)
      const cookie = await mintCookie(claimsOf(user, session), { secret: SECRET })
      expect((await open(url).getSession(cookie)).session_id).toBe(session.session_id)
    })
  })
  const prisma = ADAPTERS[1]?.[1] ?? ''
  const added = `ALTER TABLE "Session" ADD session_id uuid DEFAULT gen_random_uuid(), ADD user_id text, ADD revoked_at timestamptz,
    ADD expires_at timestamptz, ADD revoked_reason text, ADD UNIQUE (session_id)`
  const users = `CREATE VIEW session_users AS SELECT id AS user_id FROM "User"`
  const shown = `CREATE SCHEMA auth; CREATE VIEW auth.sessions AS SELECT session_id, user_id, revoked_at, expires_at,
    revoked_reason, "sessionToken" FROM "Session"`
  const cases: [string, string[], AuthBridgeOptions, Check['status'], RegExp][] = [
    [
      'that is named, and has the columns, is fine',
      [added, users],
      { tables: { sessions: 'Session', users: 'session_users' }, ...OWN },
      'ok',
      /^all present/,
    ],
    [
      'that a view shows with the columns is fine',
      [added, users, shown],
      { tables: { sessions: 'auth.sessions', users: 'session_users' }, ...OWN },
      'ok',
      /^all present/,
    ],
    [
      'that is named, and lacks the columns, is one of an adapter',
      [users],
      { tables: { sessions: 'Session', users: 'session_users' }, ...OWN },
      'failed',
      /^public\.Session holds database sessions of an Auth\.js adapter/,
    ],
  ]
  describe.each(cases)('a table %s', (_, statements, options, status, message) => {
    const database = useDatabase((client) => client.query([prisma, ...statements].join(';')))
    test('by the check of columns', async () => {
      const { check, withStatus } = await examine(database.url, options)
      expect(check('columns')).toMatchObject({ status, message: expect.stringMatching(message) })
      const failed = status === 'ok' ? [] : ['columns', 'lookups']
      expect([...withStatus('failed'), ...withStatus('warning')]).toEqual(failed)
      if (status === 'failed') expect(check('columns')?.advice).toContain('schema --for prisma | psql')
    })
  })
})
