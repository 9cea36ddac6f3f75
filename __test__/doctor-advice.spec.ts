// Each statement that doctor prints can be run in the situation that it is printed for, and mends it. Where there is no such
// statement, it prints none.

import { readFile } from 'node:fs/promises'
import type pg from 'pg'
import { describe, expect, test } from 'vitest'
import type { Check } from '../cli/native.js'
import { SECRET, useBridges } from './support/bridges.js'
import { diagnose, MARKERS } from './support/command-line.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { runAdvice } from './support/sql.js'
import { claimsOf, createSession, createTables, createUser } from './support/tenants.mjs'

const examine = (url: string) => diagnose({ env: { AUTH_SECRET: MARKERS.secret, DATABASE_URL: url } })
const hasStatements = ({ advice = '' }: Check) => /;$/m.test(advice)
const PAST = new Date('2026-01-02')
const FUTURE = new Date('2096-01-02')

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
      'ids as text',
      ['session_id', 'user_id'].map((column) => `ALTER TABLE sessions ALTER ${column} TYPE text`),
      ['columns', 'lookups'],
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
      'ids as text, with foreign keys',
      [
        ...['sessions', 'users'].map((table) => `ALTER TABLE ${table} ALTER user_id TYPE text`),
        'ALTER TABLE sessions ADD FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, user_id)',
      ],
      [
        'columns',
        'failed',
        /sessions\.user_id is text/,
        /together with constraint sessions_tenant_user_id_fkey on table/,
      ],
    ],
    [
      'ids as text, with a default',
      [
        'ALTER TABLE sessions ALTER session_id TYPE text',
        'ALTER TABLE sessions ALTER session_id SET DEFAULT gen_random_uuid()::text',
      ],
      [
        'columns',
        'failed',
        /session_id is text/,
        /together with default value for column session_id of table sessions/,
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
      ['columns', 'failed', /users\.user_type is missing/, /with a value in each row/],
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
  // As the documentation of each has them.
  const ADAPTERS: [string, string, RegExp][] = [
    [
      '@auth/pg-adapter',
      `CREATE TABLE users (id SERIAL PRIMARY KEY, name VARCHAR(255), email VARCHAR(255), "emailVerified" TIMESTAMPTZ, image TEXT);
       CREATE TABLE sessions (id SERIAL PRIMARY KEY, "userId" INTEGER NOT NULL, expires TIMESTAMPTZ NOT NULL,
         "sessionToken" VARCHAR(255) NOT NULL)`,
      /^public\.sessions holds database sessions/,
    ],
    [
      '@auth/prisma-adapter',
      `CREATE TABLE "User" (id TEXT PRIMARY KEY, name TEXT, email TEXT UNIQUE, "emailVerified" TIMESTAMP(3), image TEXT);
       CREATE TABLE "Session" ("sessionToken" TEXT PRIMARY KEY, "userId" TEXT NOT NULL, expires TIMESTAMP(3) NOT NULL)`,
      /^sessions and users not found .*; public\.Session holds database sessions/,
    ],
    [
      '@auth/drizzle-adapter',
      `CREATE TABLE "user" (id text PRIMARY KEY, name text, email text UNIQUE, "emailVerified" timestamp, image text);
       CREATE TABLE session ("sessionToken" text PRIMARY KEY, "userId" text NOT NULL, expires timestamp NOT NULL)`,
      /^sessions and users not found .*; public\.session holds database sessions/,
    ],
    [
      '@auth/supabase-adapter',
      `CREATE SCHEMA next_auth;
       CREATE TABLE next_auth.users (id uuid PRIMARY KEY, name text, email text, "emailVerified" timestamptz, image text);
       CREATE TABLE next_auth.sessions (id uuid PRIMARY KEY, expires timestamptz, "sessionToken" text, "userId" uuid)`,
      /^sessions and users not found .*; next_auth\.sessions holds database sessions/,
    ],
  ]
  const open = useBridges()

  describe.each(ADAPTERS)('%s', (_, tables, message) => {
    const database = useDatabase((client) => client.query(tables))
    test('are recognised, and what is advised gives the bridge tables of its own', async () => {
      const { check, withStatus } = await examine(database.url)
      const found = check(withStatus('failed')[0] ?? '')
      expect(found?.message).toMatch(message)
      expect(found?.advice).toMatch(/strategy: 'jwt'.*schema=authjs_bridge in DATABASE_URL/)
      const [, ...commands] = found?.advice?.match(/psql .*/)?.[0].split(' --') ?? []
      for (const command of commands) {
        const [, name, value = ''] = /^(command|file) '?(.+?)'?$/.exec(command) ?? []
        const file = new URL(`../${value.replace('node_modules/authjs-bridge/', '')}`, import.meta.url)
        await database.client.query(name === 'file' ? await readFile(file, 'utf8') : value)
      }
      const url = `${database.url}?schema=authjs_bridge`
      expect((await examine(url)).checks.filter(({ status }) => status !== 'ok')).toEqual([])
      const user = await createUser(database.client)
      const session = await createSession(database.client, user)
      const cookie = await mintCookie(claimsOf(user, session), { secret: SECRET })
      expect((await open(url).getSession(cookie)).session_id).toBe(session.session_id)
    })
  })
})
