// Runs `npx authjs-bridge doctor` as a child process, for healthy and broken databases.

import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import type { Check } from '../cli/native.js'
import { createAuthority } from './support/certificates.js'
import { diagnose, MARKERS, run, runOnTerminal } from './support/command-line.js'
import { useDatabase } from './support/database.js'
import { withClient } from './support/faults.js'
import { HAS_TERMINAL } from './support/platform.js'
import { freePort, startPostgres } from './support/postgres.mjs'
import { createSession, createTables, createUser } from './support/tenants.mjs'

const AFTER_CONNECTION = [
  ...['tls', 'server', 'pooler', 'clock', 'tables', 'columns', 'rights', 'writes', 'row-security', 'unique-keys'],
  ...['lookups', 'indexes', 'sessions'],
]
const IDS = ['env-files', 'secrets', 'cookies', 'database-url', 'connection', ...AFTER_CONNECTION]
const PAST = new Date('2026-01-02')
const FUTURE = new Date('2096-01-02')

const environment = (url: string) => ({ AUTH_SECRET: MARKERS.secret, DATABASE_URL: url })
const check = (id: string, status: Check['status'], message: RegExp, advice?: RegExp) => ({
  ...{ id, status, message: expect.stringMatching(message) },
  ...(advice && { advice: expect.stringMatching(advice) }),
})

/** Creates the tables with two live sessions, an expired one and a revoked one. */
async function createTenants(client: pg.Client) {
  await createTables(client)
  const user = await createUser(client, { email: MARKERS.email })
  for (const columns of [{}, { expires_at: FUTURE }, { expires_at: PAST }, { revoked_at: PAST, expires_at: PAST }]) {
    await createSession(client, user, columns)
  }
}

/** Creates the tables, then runs these statements. */
const changed = (...statements: string[]) =>
  async function prepare(client: pg.Client) {
    await createTenants(client)
    for (const statement of statements) await client.query(statement)
  }

/** Creates a database user with these privileges, and returns its name and its URL. */
async function asReader({ client, url }: ReturnType<typeof useDatabase>, ...grants: string[]) {
  const reader = `reader_${randomUUID().replaceAll('-', '')}`
  await client.query(`CREATE ROLE ${reader} LOGIN PASSWORD '${MARKERS.password}'`)
  for (const grant of grants) await client.query(`${grant} TO ${reader}`)
  const own = new URL(url)
  Object.assign(own, { username: reader, password: MARKERS.password })
  return { reader, url: own.href }
}
const ALL_COLUMNS = ['GRANT SELECT ON sessions', 'GRANT SELECT ON users']

describe('a healthy database', () => {
  const database = useDatabase(createTenants)

  test('passes every check', async () => {
    const { code, ok, mode, checks } = await diagnose({ env: environment(database.url) })
    expect({ code, ok, mode }).toEqual({ code: 0, ok: true, mode: 'development' })
    expect(checks.map(({ id }) => id)).toEqual(IDS)
    expect(checks.filter(({ status }) => status !== 'ok')).toEqual([])
    expect(checks.every((check) => check.advice === undefined)).toBe(true)
  })

  test('is described', async () => {
    const { check } = await diagnose({ env: { ...environment(database.url), AUTH_URL: 'http://localhost:3000' } })
    const address = new URL(database.url).host
    expect(check('secrets')?.message).toBe('AUTH_SECRET (38 bytes)')
    expect(check('cookies')?.message).toBe('authjs.session-token, by the scheme of AUTH_URL')
    expect(check('database-url')?.message).toContain(`DATABASE_URL: ${address}, database test_`)
    expect(check('connection')?.message).toMatch(new RegExp(`^${address} in [\\d.]+ ms$`))
    expect(check('server')?.message).toMatch(/^PostgreSQL 18\.\d+, database test_\w+, user postgres$/)
    expect(check('tables')?.message).toBe(
      'table public.sessions, table public.users; by the search path ("$user", public)',
    )
    expect(check('lookups')?.details).toEqual(
      Object.fromEntries(['first', 'median', 'worst'].map((name) => [name, expect.any(Number)])),
    )
    expect(check('indexes')?.message).toBe('sessions by sessions_pkey, users by users_pkey')
    expect(check('sessions')?.details).toEqual({ live: 2, expired: 1, revoked: 1, trial: { tried: 2, refused: {} } })
  })

  test('as text: a line for each check, then how many there are of each status', async () => {
    const { code, stdout, stderr } = await run(['doctor'], { env: environment(database.url) })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const lines = stdout.split('\n')
    expect(lines.slice(0, IDS.length).map((line) => line.split(/ +/).slice(0, 2))).toEqual(IDS.map((id) => ['ok', id]))
    expect(lines.slice(IDS.length)).toEqual(['', '18 ok, 0 warning, 0 failed, 0 skipped', ''])
  })

  test('in production without verified TLS: a warning, and exit code 0', async () => {
    const { code, mode, check, withStatus } = await diagnose({ env: environment(database.url) }, '--production')
    const warnings = ['cookies', 'tls']
    expect({ code, mode, warnings: withStatus('warning') }).toEqual({ code: 0, mode: 'production', warnings })
    expect(check('tls')?.advice).toMatch(/sslmode=verify-full in DATABASE_URL/)
    expect(check('cookies')?.message).toMatch(/^__Secure-authjs\.session-token, since NODE_ENV is production/)
    expect(check('cookies')?.advice).toBe('Set AUTH_URL to the URL of the app.')
  })

  test('with a parameter that is unknown: a warning that names it', async () => {
    const env = environment(`${database.url}?workaround=supabase-pooler.vercel`)
    const { code, check, withStatus } = await diagnose({ env })
    expect({ code, warnings: withStatus('warning') }).toEqual({ code: 0, warnings: ['database-url'] })
    expect(check('database-url')?.message).toMatch(/; ignored, since unknown: workaround$/)
  })

  test('by AUTH_BRIDGE_OPTIONS', async () => {
    const options = { secret: MARKERS.secret, databaseUrl: database.url, cookieName: ['sid', '__Host-sid'] }
    const env = { AUTH_BRIDGE_OPTIONS: JSON.stringify(options), AUTH_SECRET: 'other' }
    const { code, check, withStatus } = await diagnose({ env })
    expect({ code, ok: withStatus('ok') }).toEqual({ code: 0, ok: IDS })
    expect(check('secrets')?.message).toBe('AUTH_BRIDGE_OPTIONS (38 bytes)')
    expect(check('cookies')?.message).toBe('__Host-sid, sid, by AUTH_BRIDGE_OPTIONS')
    expect(check('database-url')?.message).toMatch(/^databaseUrl in AUTH_BRIDGE_OPTIONS: /)
  })

  test('by an AUTH_BRIDGE_OPTIONS that is wrong: says so', async () => {
    const env = { AUTH_BRIDGE_OPTIONS: `{"secrets":"${MARKERS.secret}"}` }
    const { code, stdout } = await run(['doctor', '--json'], { env })
    expect({ code, error: JSON.parse(stdout).error }).toEqual({
      code: 1,
      error: {
        code: 'ERR_AUTH_BRIDGE_CONFIG',
        message: expect.stringMatching(/^secrets in AUTH_BRIDGE_OPTIONS: is not an option; the options are secret, /),
      },
    })
  })

  test.runIf(HAS_TERMINAL)('has colours on a terminal, elsewhere only with FORCE_COLOR', async () => {
    const env = environment(database.url)
    const GREEN = '\u001b[32mok'
    expect((await runOnTerminal(['doctor'], { env })).output).toContain(GREEN)
    expect((await runOnTerminal(['doctor'], { env: { ...env, NO_COLOR: '1' } })).output).not.toContain('\u001b')
    expect((await run(['doctor'], { env })).stdout).not.toContain('\u001b')
    expect((await run(['doctor'], { env: { ...env, FORCE_COLOR: '1' } })).stdout).toContain(GREEN)
    expect((await run(['doctor', '--json'], { env: { ...env, FORCE_COLOR: '1' } })).stdout).not.toContain('\u001b')
  })

  test('configured by the variables of libpq', async () => {
    const { hostname, port, username, password, pathname } = new URL(database.url)
    const { code, check } = await diagnose({
      env: {
        ...{ AUTH_SECRET: MARKERS.secret, PGHOST: hostname, PGPORT: port, PGUSER: username },
        ...{ PGPASSWORD: decodeURIComponent(password), PGDATABASE: pathname.slice(1) },
      },
    })
    expect({ code, message: check('database-url')?.message }).toEqual({
      code: 0,
      message: expect.stringMatching(/^PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD: 127\.0\.0\.1/),
    })
    const both = await diagnose({
      env: { AUTH_SECRET: MARKERS.secret, DATABASE_URL: `postgres://${username}@/`, PGHOST: hostname, PGPORT: port },
    })
    expect(both.check('database-url')?.message).toBe(
      `DATABASE_URL, PGHOST, PGPORT: ${hostname}:${port}, user ${username}`,
    )
  })

  test('of partitioned tables', async () => {
    const name = `parted_${randomUUID().replaceAll('-', '')}`
    await database.client.query(`
      CREATE SCHEMA ${name};
      CREATE TABLE ${name}.users (LIKE users INCLUDING ALL) PARTITION BY HASH (tenant);
      CREATE TABLE ${name}.users_0 PARTITION OF ${name}.users FOR VALUES WITH (MODULUS 1, REMAINDER 0);
      CREATE TABLE ${name}.sessions (LIKE sessions INCLUDING ALL) PARTITION BY HASH (tenant);
      CREATE TABLE ${name}.sessions_0 PARTITION OF ${name}.sessions FOR VALUES WITH (MODULUS 2, REMAINDER 0);
      CREATE TABLE ${name}.sessions_1 PARTITION OF ${name}.sessions FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    `)
    const { code, check, withStatus } = await diagnose({ env: environment(`${database.url}?schema=${name}`) })
    expect({ code, ok: withStatus('ok').length }).toEqual({ code: 0, ok: IDS.length })
    expect(check('tables')?.message).toBe(
      `partitioned table ${name}.sessions, partitioned table ${name}.users; by schema=${name} in DATABASE_URL`,
    )
    expect(check('indexes')?.message).toMatch(/^sessions_\d by sessions_\d_pkey, users_0 by users_0_pkey$/)
  })
})

describe('the configuration', () => {
  const database = useDatabase(createTenants)

  test.each<[string, (url: string) => Record<string, string>, ReturnType<typeof check>]>([
    [
      "no secret, which doesn't stop the checks of the database",
      (url) => ({ DATABASE_URL: url }),
      check('secrets', 'failed', /^none is set$/, /npx auth secret/),
    ],
    [
      'a short secret',
      (url) => ({ DATABASE_URL: url, AUTH_SECRET: MARKERS.password }),
      check('secrets', 'warning', /^AUTH_SECRET \(7 bytes\)$/, /has 7 bytes; use at least 32/),
    ],
    [
      'an empty AUTH_SECRET',
      (url) => ({ DATABASE_URL: url, AUTH_SECRET: '', NEXTAUTH_SECRET: MARKERS.secret }),
      check('secrets', 'warning', /^NEXTAUTH_SECRET \(38 bytes\)$/, /^AUTH_SECRET is set but empty/),
    ],
    [
      'an AUTH_URL that is not a URL',
      (url) => ({ ...environment(url), AUTH_URL: 'app.example.com' }),
      check('cookies', 'failed', /^AUTH_URL: must begin with https/, /Set AUTH_URL/),
    ],
    [
      'an AUTH_URL without TLS in production',
      (url) => ({ ...environment(url), NODE_ENV: 'production', AUTH_URL: 'http://app.example.com' }),
      check('cookies', 'warning', /^authjs\.session-token, .*AUTH_URL, in production$/, /https:/),
    ],
    [
      'no database',
      () => ({ AUTH_SECRET: MARKERS.secret }),
      check('database-url', 'failed', /is missing/, /DATABASE_URL=postgres:\/\//),
    ],
    [
      'an unknown parameter of the URL',
      (url) => environment(`${url}?sslmod=require`),
      check('database-url', 'failed', /^DATABASE_URL: sslmod is unknown/, /DATABASE_URL=/),
    ],
    [
      'an @ in the password that is not encoded',
      () => environment(`postgres://u:${MARKERS.password}@x@host/d`),
      check('database-url', 'failed', /percent-encoded/, /DATABASE_URL=/),
    ],
  ])('%s', async (_, env, expected) => {
    const { code, check, withStatus } = await diagnose({ env: env(database.url) })
    expect(check(expected.id)).toMatchObject(expected)
    // In production, the connection without TLS is a warning, too.
    expect(withStatus(expected.status).filter((id) => id !== 'tls')).toEqual([expected.id])
    expect(code).toBe(expected.status === 'failed' ? 1 : 0)
    const hasUrl = expected.id !== 'database-url'
    expect(withStatus('skipped')).toEqual(hasUrl ? [] : ['connection', ...AFTER_CONNECTION])
  })
})

describe("a database that can't be reached", () => {
  const database = useDatabase(createTenants)
  let silent: ReturnType<typeof createServer>

  beforeAll(async () => {
    silent = createServer(() => {}).listen(0, '127.0.0.1')
    await once(silent, 'listening')
  })
  afterAll(() => silent.close())

  const withPassword = (url: string, changes: object) => Object.assign(new URL(url), changes).href

  test.each<[string, (url: string) => string | Promise<string>, RegExp, RegExp]>([
    [
      'nothing listens',
      async (url) => withPassword(url, { port: await freePort() }),
      /refused/,
      /^Start the server, or correct host and port in DATABASE_URL/,
    ],
    [
      'a wrong password',
      (url) => withPassword(url, { password: MARKERS.password }),
      /password authentication failed.*28P01/,
      /^Correct user and password in DATABASE_URL/,
    ],
    [
      "a database that doesn't exist",
      (url) => withPassword(url, { pathname: '/nowhere' }),
      /"nowhere" does not exist.*3D000/,
      /CREATE DATABASE "nowhere"/,
    ],
    [
      "a host that doesn't exist",
      (url) => withPassword(url, { hostname: 'no-such-host.invalid' }),
      /no-such-host\.invalid:\d+: the name can't be looked up/,
      /^Correct the host name/,
    ],
    [
      'a server that never replies, within the time limit',
      (url) => `${withPassword(url, { port: (silent.address() as AddressInfo).port })}?connect_timeout=1`,
      /took longer than 1000 ms$/,
      /firewall/,
    ],
  ])('%s', async (_, url, message, advice) => {
    const { code, check: found, withStatus } = await diagnose({ env: environment(await url(database.url)) })
    expect(found('connection')).toMatchObject(check('connection', 'failed', message, advice))
    expect({ code, failed: withStatus('failed') }).toEqual({ code: 1, failed: ['connection'] })
    expect(withStatus('skipped')).toEqual(AFTER_CONNECTION)
  })
})

describe('tables', () => {
  type Broken = [string, (client: pg.Client) => Promise<unknown>, ReturnType<typeof check>[]]
  const cases: Broken[] = [
    ['missing', async () => {}, [check('tables', 'failed', /^sessions and users not found/, /psql .*schema\.sql/)]],
    [
      'in a schema outside the search path',
      changed('CREATE SCHEMA app', 'ALTER TABLE sessions SET SCHEMA app', 'ALTER TABLE users SET SCHEMA app'),
      [
        check(
          'tables',
          'failed',
          /^sessions and users not found in the search path/,
          /^There is one in schema app: set schema=app in DATABASE_URL, or the user's search_path\.$/,
        ),
      ],
    ],
    [
      'one of them in a schema outside the search path',
      changed('CREATE SCHEMA app', 'ALTER TABLE sessions SET SCHEMA app'),
      [
        check(
          'tables',
          'failed',
          /^sessions not found in the search path/,
          /^There is app\.sessions: set tables\.sessions to app\.sessions in AUTH_BRIDGE_OPTIONS\.$/,
        ),
      ],
    ],
    [
      'without a column',
      changed('ALTER TABLE sessions DROP COLUMN revoked_at'),
      [
        check('columns', 'failed', /^sessions\.revoked_at is missing$/, /ADD COLUMN revoked_at timestamptz;$/),
        check('lookups', 'failed', /revoked_at does not exist.*42703/, /^Fix columns first/),
      ],
    ],
    [
      'with a column of a wrong type',
      changed(
        `ALTER TABLE sessions ALTER session_id TYPE bytea USING decode(replace(session_id::text, '-', ''), 'hex')`,
      ),
      [
        check('columns', 'failed', /^sessions\.session_id is bytea$/, /ALTER COLUMN session_id TYPE text;$/),
        check(
          'lookups',
          'failed',
          /sessions\.session_id is bytea, but ids must be uuid, text, .* domain over one of them$/,
          /^Fix columns first/,
        ),
      ],
    ],
    [
      "with a type that PostgreSQL compares, but this package doesn't",
      changed(...['sessions', 'users'].map((table) => `ALTER TABLE ${table} ALTER user_id TYPE numeric USING 7`)),
      [
        check(
          'columns',
          'failed',
          /^sessions\.user_id is numeric; users\.user_id is numeric$/,
          /ALTER TABLE "public"\."users" ALTER COLUMN user_id TYPE text;$/,
        ),
        check('lookups', 'failed', /sessions\.user_id is numeric, but ids must be/, /^Fix columns first/),
      ],
    ],
    [
      'with users of another type than the sessions have',
      changed('ALTER TABLE users ALTER user_id TYPE text'),
      [
        check(
          'columns',
          'failed',
          /^sessions\.user_id is uuid, but users\.user_id is text: they can't be compared$/,
          /^ALTER TABLE "public"\."sessions" ALTER COLUMN user_id TYPE text;$/,
        ),
        check('lookups', 'failed', /text pg_catalog\.= uuid.*42883/, /^Fix columns first/),
      ],
    ],
    [
      'with times that have no zone',
      changed('ALTER TABLE sessions ALTER expires_at TYPE timestamp'),
      [check('columns', 'warning', /expires_at is timestamp without time zone/, /TYPE timestamptz/)],
    ],
    [
      'without the column that only explainSession reads',
      changed('ALTER TABLE sessions DROP COLUMN revoked_reason'),
      [check('columns', 'warning', /revoked_reason is missing, which only explainSession reads/, /ADD COLUMN/)],
    ],
    [
      'without an index',
      changed('ALTER TABLE sessions DROP CONSTRAINT sessions_pkey'),
      [
        check(
          'unique-keys',
          'warning',
          /^none on sessions \(tenant, session_id\)/,
          /ADD UNIQUE \(tenant, session_id\)/,
        ),
        check('indexes', 'failed', /reads the whole table sessions$/, /^-- sessions: the key that unique-keys advises/),
      ],
    ],
    [
      'with an index on the tenant alone',
      changed('ALTER TABLE sessions DROP CONSTRAINT sessions_pkey', 'CREATE INDEX by_tenant ON sessions (tenant)'),
      [
        check('unique-keys', 'warning', /^none on sessions/, /ADD UNIQUE/),
        check('indexes', 'warning', /all sessions of a tenant, by by_tenant$/, /unique-keys advises/),
      ],
    ],
    [
      'with indexes that the query can’t use',
      changed(
        'ALTER TABLE sessions DROP CONSTRAINT sessions_pkey, ALTER session_id TYPE text',
        'CREATE UNIQUE INDEX by_letters ON sessions (lower(session_id))',
        'CREATE UNIQUE INDEX by_state ON sessions (session_id) WHERE revoked_at IS NULL',
        'CREATE INDEX by_user ON sessions (user_id)',
      ),
      [
        check('unique-keys', 'warning', /^none on sessions/, /ADD UNIQUE \(tenant, session_id\)/),
        check(
          'indexes',
          'failed',
          /sessions; it can't use by_letters, btree \(lower\(session_id\)\); by_state, btree \(session_id\) WHERE \(.*\)$/,
          /^-- sessions: the key that unique-keys advises/,
        ),
      ],
    ],
    [
      'with an index on the tenant of users alone',
      changed('ALTER TABLE users DROP CONSTRAINT users_pkey', 'CREATE INDEX by_tenant ON users (tenant)'),
      [
        check('unique-keys', 'warning', /^none on users/, /ADD UNIQUE \(tenant, user_id\)/),
        check(
          'indexes',
          'warning',
          /reads all users of a tenant, by by_tenant$/,
          /^-- users: the key that unique-keys/,
        ),
      ],
    ],
    [
      'without an index on users',
      changed('ALTER TABLE users DROP CONSTRAINT users_pkey'),
      [
        check('unique-keys', 'warning', /^none on users \(tenant, user_id\)/, /ADD UNIQUE \(tenant, user_id\)/),
        check('indexes', 'failed', /reads the whole table users$/, /^-- users: the key that unique-keys advises/),
      ],
    ],
    [
      'on a server whose clock is ahead',
      changed(`CREATE OR REPLACE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
        AS $$ SELECT pg_catalog.now() + '20 s' $$`),
      [check('clock', 'failed', /^the server's is (19\.9|20\.0)\d\d s ahead of/, /NTP.*15 s of tolerance/)],
    ],
  ]

  describe.each(cases)('%s', (_, prepare, expected) => {
    const database = useDatabase(prepare)

    test('are reported', async () => {
      const { code, check, withStatus, checks } = await diagnose({ env: environment(database.url) })
      for (const one of expected) expect(check(one.id)).toMatchObject(one)
      const bad = (status: string) => expected.filter((one) => one.status === status).map(({ id }) => id)
      expect({ failed: withStatus('failed'), warning: withStatus('warning') }).toEqual({
        failed: bad('failed'),
        warning: bad('warning'),
      })
      expect(code).toBe(bad('failed').length > 0 ? 1 : 0)
      expect(checks.map(({ id }) => id)).toEqual(IDS)
    })
  })

  describe('that are views, slow to count', () => {
    const database = useDatabase(
      changed(
        'ALTER TABLE sessions RENAME TO stored_sessions',
        `CREATE VIEW sessions AS SELECT tenant, session_id, user_id, expires_at, revoked_reason,
           CASE WHEN pg_sleep(3)::text = '' THEN revoked_at END AS revoked_at FROM stored_sessions`,
      ),
    )

    test('are supported, and counting them stops after 2 s', async () => {
      const { code, check, withStatus } = await diagnose({ env: environment(database.url) })
      expect({ code, ok: withStatus('ok').length }).toEqual({ code: 0, ok: IDS.length })
      expect(check('tables')?.message).toMatch(
        /^view public\.sessions of public\.stored_sessions, table public\.users; by/,
      )
      expect(check('unique-keys')?.message).toMatch(/^sessions \(tenant, session_id\) can't be checked on a view, /)
      expect(check('sessions')?.message).toMatch(/^too many to count within 2 s/)
    })
  })
})

describe('the rights', () => {
  const database = useDatabase(createTenants)

  test('to all columns that are read are enough', async () => {
    const columns = 'tenant, session_id, user_id, expires_at, revoked_at, revoked_reason'
    const grants = [`GRANT SELECT (${columns}) ON sessions`, 'GRANT SELECT (tenant, user_id, user_type) ON users']
    const { url } = await asReader(database, ...grants)
    const { code, withStatus } = await diagnose({ env: environment(url) })
    expect({ code, ok: withStatus('ok') }).toEqual({ code: 0, ok: IDS })
  })

  test('to a column are missing', async () => {
    const grants = ['GRANT SELECT ON sessions', 'GRANT SELECT (tenant, user_id) ON users']
    const { url, reader } = await asReader(database, ...grants)
    const { code, check: found, withStatus } = await diagnose({ env: environment(url) })
    const grant = `^GRANT SELECT \\(user_type\\) ON "public"\\."users" TO "${reader}";$`
    expect(found('rights')).toMatchObject(
      check('rights', 'failed', /may not read users\.user_type$/, new RegExp(grant)),
    )
    expect(found('lookups')).toMatchObject(check('lookups', 'failed', /permission denied.*42501/, /^Fix rights first/))
    expect({ code, failed: withStatus('failed') }).toEqual({ code: 1, failed: ['rights', 'lookups'] })
    await database.client.query(String(found('rights')?.advice))
    expect((await diagnose({ env: environment(url) })).code).toBe(0)
  })

  test('to the column that only explainSession reads are missing', async () => {
    const columns = 'tenant, session_id, user_id, expires_at, revoked_at'
    const { url } = await asReader(database, `GRANT SELECT (${columns}) ON sessions`, 'GRANT SELECT ON users')
    const { code, check: found, withStatus } = await diagnose({ env: environment(url) })
    const expected = check('rights', 'warning', /sessions\.revoked_reason, which only explainSession/, /^GRANT SELECT/)
    expect(found('rights')).toMatchObject(expected)
    expect({ code, warning: withStatus('warning') }).toEqual({ code: 0, warning: ['rights'] })
  })

  test('to the schema are missing', async () => {
    await database.client.query('CREATE SCHEMA closed; CREATE TABLE closed.users (LIKE users INCLUDING ALL)')
    await database.client.query('CREATE TABLE closed.sessions (LIKE sessions INCLUDING ALL)')
    const { url, reader } = await asReader(database, 'GRANT SELECT ON ALL TABLES IN SCHEMA closed')
    const { code, check: found } = await diagnose({ env: environment(`${url}?schema=closed`) })
    const advice = new RegExp(`^GRANT USAGE ON SCHEMA "closed" TO "${reader}";$`)
    expect(found('rights')).toMatchObject(check('rights', 'failed', /may not use the schema closed$/, advice))
    expect(code).toBe(1)
  })
})

describe('row level security', () => {
  const database = useDatabase(changed('ALTER TABLE sessions ENABLE ROW LEVEL SECURITY'))
  const policy = (expression: string) =>
    database.client.query(
      `DROP POLICY IF EXISTS test ON sessions; CREATE POLICY test ON sessions USING (${expression})`,
    )

  test("doesn't apply to a superuser", async () => {
    expect((await diagnose({ env: environment(database.url) })).code).toBe(0)
  })

  test('without a policy hides all rows', async () => {
    const { url, reader } = await asReader(database, ...ALL_COLUMNS)
    const { code, check: found, withStatus } = await diagnose({ env: environment(url) })
    const message = new RegExp(`^hides all rows of sessions from ${reader}: everyone is signed out$`)
    expect(found('row-security')).toMatchObject(
      check('row-security', 'failed', message, /^CREATE ROLE authjs_bridge LOGIN;$/m),
    )
    expect({ code, failed: withStatus('failed') }).toEqual({ code: 1, failed: ['row-security'] })
    // An empty table would say the same without the last words.
    const counted = `0 live, 0 expired, 0 revoked, of the rows that ${reader} sees`
    expect(found('sessions')).toMatchObject({ status: 'ok', message: counted })
  })

  test('with a policy that depends on an unset setting hides all rows', async () => {
    await policy(`tenant::text = current_setting('app.tenant', true)`)
    const { url } = await asReader(database, ...ALL_COLUMNS)
    const { code, check: found } = await diagnose({ env: environment(url) })
    expect(found('row-security')).toMatchObject(check('row-security', 'failed', /^hides all rows of sessions/))
    expect(code).toBe(1)
  })

  test('with a policy that hides some rows is a warning', async () => {
    await policy(`expires_at IS NULL`)
    const { url } = await asReader(database, ...ALL_COLUMNS)
    const { code, check: found } = await diagnose({ env: environment(url) })
    expect(found('row-security')).toMatchObject(
      check('row-security', 'warning', /^is active on sessions/, /USING \(true\)/),
    )
    expect({ code, counts: found('sessions')?.details }).toEqual({
      code: 0,
      counts: { live: 1, expired: 0, revoked: 0, trial: { tried: 1, refused: {} } },
    })
  })
})

describe('sessions of the table that would be refused', () => {
  const hidden = useDatabase(createTenants)
  const user = 'UPDATE users SET user_type ='
  const free = 'ALTER TABLE users DROP CONSTRAINT users_user_type_check, ALTER user_type DROP NOT NULL'
  test.each<[string, string[], Check['status'], RegExp, object]>([
    ['without their user', ['DELETE FROM users'], 'failed', /2 have a user who is not in users/, { 'user-unknown': 2 }],
    ['with a type in capitals', [free, `${user} 'Internal'`], 'failed', /lower case/, { 'upper-case-user-type': 2 }],
    ['with another type', [free, `${user} 'admin'`], 'failed', /neither client nor/, { 'other-user-type': 2 }],
    ['without a type', [free, `${user} NULL`], 'failed', /without user_type/, { 'no-user-type': 2 }],
    [
      'without a user, some of them',
      [
        'ALTER TABLE sessions ALTER user_id DROP NOT NULL',
        'UPDATE sessions SET user_id = NULL WHERE expires_at IS NULL',
      ],
      ...(['warning', /^2 live, .*; of 2 tried, 1 have no user_id$/, { 'no-user-id': 1 }] as const),
    ],
  ])('%s', async (_, statements, status, message, refused) => {
    const name = `test_${randomUUID().replaceAll('-', '')}`
    await withClient(inject('serverUrl'), (client) => client.query(`CREATE DATABASE ${name}`))
    const url = Object.assign(new URL(inject('serverUrl')), { pathname: name }).href
    const ids = await withClient(url, async (client) => {
      await changed(...statements)(client)
      return (await client.query('SELECT tenant, session_id, user_id FROM sessions')).rows.flatMap(Object.values)
    })
    const { checks, check, withStatus } = await diagnose({ env: environment(url) })
    expect(check('sessions')).toMatchObject({ status, message: expect.stringMatching(message) })
    expect(check('sessions')?.details).toMatchObject({ trial: { tried: 2, refused } })
    expect([...withStatus('failed'), ...withStatus('warning')]).toEqual(['sessions'])
    // No row leaves the database.
    const shown = JSON.stringify(checks)
    expect(ids.filter((id) => id !== null && shown.includes(id))).toEqual([])
  })

  test('since row security hides the users alone', async () => {
    const { client, url: own } = hidden
    await client.query('ALTER TABLE users ENABLE ROW LEVEL SECURITY')
    await client.query(`CREATE POLICY test ON users USING (tenant::text = current_setting('app.tenant', true))`)
    const { url, reader } = await asReader({ client, url: own }, ...ALL_COLUMNS)
    const { check, withStatus } = await diagnose({ env: environment(url) })
    expect(check('row-security')?.message).toBe(`hides all rows of users from ${reader}: everyone is signed out`)
    expect(check('sessions')?.message).toMatch(/of 2 tried, 2 have a user who is not in users, or hidden there$/)
    expect(withStatus('failed')).toEqual(['row-security', 'sessions'])
  })
})

describe('sessions that have all expired', () => {
  const expired = useDatabase(changed('DELETE FROM sessions WHERE coalesce(expires_at > now(), revoked_at IS NULL)'))

  test('are a warning that says how to keep them alive', async () => {
    const { code, check: found, withStatus } = await diagnose({ env: environment(expired.url) })
    expect(found('sessions')).toMatchObject(
      check(
        'sessions',
        'warning',
        /^0 live, 1 expired, 1 revoked: all that were not revoked have expired$/,
        /refreshSession, or use proxy of authjs-bridge\/next/,
      ),
    )
    expect({ code, warnings: withStatus('warning') }).toEqual({ code: 0, warnings: ['sessions'] })
  })

  test('are fine where their rows have no end that counts', async () => {
    const env = { ...environment(expired.url), AUTH_BRIDGE_OPTIONS: '{ "ignoreExpiresAt": true }' }
    const { check: found } = await diagnose({ env })
    expect(found('sessions')?.status).toBe('ok')
  })
})

describe('a query that waits', () => {
  const database = useDatabase(createTenants)

  test('for a lock times out, and the checks after it are skipped', async () => {
    await database.client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
    const { code, check: found, withStatus } = await diagnose({ env: environment(database.url) })
    await database.client.query('ROLLBACK')
    const expected = check('lookups', 'failed', /^the session query took longer than 5000 ms$/, /locks/)
    expect(found('lookups')).toMatchObject(expected)
    const skipped = ['tables', 'columns', 'rights', 'writes', 'row-security', 'unique-keys', 'indexes', 'sessions']
    expect({ code, skipped: withStatus('skipped') }).toEqual({ code: 1, skipped })
  })
})

describe('TLS', () => {
  let folder: string
  let server: Awaited<ReturnType<typeof startPostgres>>

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-doctor-'))
    const authority = await createAuthority('the right authority')
    await writeFile(join(folder, 'right.pem'), authority.certificate)
    await writeFile(join(folder, 'other.pem'), (await createAuthority('another authority')).certificate)
    await chmod(folder, 0o755)
    server = await startPostgres({}, await authority.sign('localhost'))
  })
  afterAll(async () => {
    await server.dispose()
    await rm(folder, { recursive: true })
  })

  const examine = (host: string, parameters: Record<string, string>, ...args: string[]) => {
    const url = new URL(server.url())
    url.hostname = host
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
    return diagnose({ env: environment(url.href) }, ...args)
  }
  const rootCert = (name: string) => ({ sslrootcert: join(folder, name) })

  test('that is verified is reported with version and cipher', async () => {
    const found = await examine('localhost', { sslmode: 'verify-full', ...rootCert('right.pem') }, '--production')
    expect(found.check('tls')).toMatchObject(check('tls', 'ok', /^TLSv1\.3, TLS_AES_\w+; the certificate is verified$/))
    expect(found.check('tls')?.details).toMatchObject({ version: 'TLSv1.3', verify: 'chain-and-host-name' })
  })

  test.each([
    ['verifies no certificate', () => ({ sslmode: 'require' }), /the certificate is not verified$/],
    ["doesn't verify the host name", () => ({ sslmode: 'verify-ca', ...rootCert('right.pem') }), /not its host name$/],
    ['is not used', () => ({ sslmode: 'disable' }), /^none$/],
  ])('that %s is a warning in production', async (_, parameters, message) => {
    const found = await examine('localhost', parameters(), '--production')
    expect(found.check('tls')).toMatchObject(check('tls', 'warning', message, /sslmode=verify-full/))
  })

  test("that the server doesn't support fails", async () => {
    const plain = new URL(inject('serverUrl'))
    plain.searchParams.set('sslmode', 'require')
    const { check: found } = await diagnose({ env: environment(plain.href) })
    expect(found('connection')).toMatchObject(check('connection', 'failed', /does not support TLS/, /ssl = on/))
  })

  test.each([
    ['by another authority', 'localhost', 'other.pem', /certificate verify failed/],
    ['for another host', '127.0.0.1', 'right.pem', /certificate verify failed.*IP address mismatch/],
  ])('with a certificate %s fails', async (_, host, file, message) => {
    const { code, check: found } = await examine(host, { sslmode: 'verify-full', ...rootCert(file) })
    expect(found('connection')).toMatchObject(check('connection', 'failed', message, /sslrootcert=.*verify-full/))
    expect(code).toBe(1)
  })
})
