// What doctor advises where row-level security hides rows from the app's role, followed literally: the bridge gets all rows by a
// role of its own, and the app sees no more than before.

import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AuthBridgeOptions } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { diagnose, MARKERS } from './support/command-line.js'
import { mintCookie } from './support/cookies.mjs'
import { withClient } from './support/faults.js'
import { startPostgres } from './support/postgres.mjs'
import { runAdvice } from './support/sql.js'
import { claimsOf, createSession, createTables, createUser } from './support/tenants.mjs'

const TENANTS = 3
const ROLE = 'authjs_bridge'
const LOGIN = { user: ROLE, password: MARKERS.password }

/** What a multi-tenant app has: its queries name the tenant in a setting. */
const OF_TENANT = `(tenant = current_setting('app.tenant')::uuid)`
const enable = (table: string) => `ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`
const policies: [string, string[], AuthBridgeOptions?][] = [
  [
    'for everyone, by a setting that must be there',
    ['sessions', 'users'].flatMap((table) => [enable(table), `CREATE POLICY tenant ON ${table} USING ${OF_TENANT}`]),
  ],
  [
    'for the app',
    ['sessions', 'users'].flatMap((table) => [
      enable(table),
      `CREATE POLICY tenant ON ${table} TO app USING (tenant::text = current_setting('app.tenant', true))`,
    ]),
  ],
  ['for users alone', [enable('users'), `CREATE POLICY tenant ON users USING ${OF_TENANT}`]],
  ['none, so that all is hidden', [enable('sessions'), enable('users')]],
  [
    'restrictive, for everyone',
    ['sessions', 'users'].flatMap((table) => [
      enable(table),
      `CREATE POLICY everything ON ${table} USING (true)`,
      `CREATE POLICY tenant ON ${table} AS RESTRICTIVE USING (tenant::text = current_setting('app.tenant', true))`,
    ]),
  ],
  [
    'on a table of the app itself, forced, and on another table that is not',
    [
      'ALTER TABLE users OWNER TO app',
      enable('users'),
      'ALTER TABLE users FORCE ROW LEVEL SECURITY',
      `CREATE POLICY tenant ON users USING (tenant::text = current_setting('app.tenant', true))`,
      'ALTER TABLE sessions OWNER TO app',
      enable('sessions'),
    ],
  ],
  [
    'in another schema, in the search path of the app alone',
    [
      'CREATE SCHEMA "order"',
      'ALTER TABLE sessions SET SCHEMA "order"',
      'ALTER TABLE users SET SCHEMA "order"',
      'GRANT USAGE ON SCHEMA "order" TO app',
      'ALTER ROLE app SET search_path = "order"',
      'SET search_path = "order"',
      ...['sessions', 'users'].flatMap((table) => [
        enable(table),
        `CREATE POLICY tenant ON ${table} USING ${OF_TENANT}`,
      ]),
    ],
  ],
  [
    'on tables that the option names, with fresh claims, outside of all search paths',
    [
      'CREATE SCHEMA "Auth"',
      'ALTER TABLE sessions SET SCHEMA "Auth"',
      'ALTER TABLE "Auth".sessions RENAME TO "Session"',
      'ALTER TABLE users ADD "Product Code" text',
      'CREATE VIEW sessions AS TABLE "Auth"."Session"',
      'GRANT USAGE ON SCHEMA "Auth" TO app',
      'GRANT SELECT ON sessions TO app',
      ...['"Auth"."Session"', 'users'].flatMap((table) => [
        enable(table),
        `CREATE POLICY tenant ON ${table} TO app USING (tenant::text = current_setting('app.tenant', true))`,
      ]),
    ],
    {
      tables: { sessions: 'Auth.Session', users: 'public.users' },
      ...{ extraClaims: ['Product Code'], freshClaims: ['Product Code', 'email'] },
    },
  ],
]

let server: Awaited<ReturnType<typeof startPostgres>>
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.dispose())

describe.each(policies)('policies %s', (_, statements, options) => {
  const open = useBridges()
  let client: pg.Client
  let url: (login: { user: string; password: string }) => string
  let tenants: string[]
  let cookies: { cookie: string; session_id: string }[]

  beforeAll(async () => {
    const database = `db_${policies.findIndex(([, each]) => each === statements)}`
    await withClient(server.url(), async (client) => {
      await client.query(`CREATE ROLE app LOGIN PASSWORD 'app'`)
      await client.query(`CREATE DATABASE ${database}`)
    })
    url = (login) => server.url({ database, ...login })
    client = new pg.Client(server.url({ database }))
    await client.connect()
    await createTables(client)
    const users = []
    for (let count = 0; count < TENANTS; count++) users.push(await createUser(client))
    tenants = users.map(({ tenant }) => tenant)
    cookies = []
    for (const user of users) {
      const session = await createSession(client, user)
      cookies.push({ ...session, cookie: await mintCookie(claimsOf(user, session), { secret: SECRET }) })
    }
    await client.query('GRANT SELECT ON sessions, users TO app')
    for (const statement of statements) await client.query(statement)
  })
  afterAll(async () => {
    await client.query(`REASSIGN OWNED BY app TO postgres; DROP OWNED BY app, ${ROLE}; DROP ROLE app, ${ROLE}`)
    await client.end()
  })

  /** What the app's own queries see: for each tenant, and without one. */
  const rowsOfApp = () =>
    withClient(url({ user: 'app', password: 'app' }), async (app) => {
      const counts = []
      for (const table of ['sessions', 'users']) {
        for (const tenant of [...tenants, '']) {
          await app.query(`SELECT set_config('app.tenant', $1, false)`, [tenant])
          const counted = app.query(`SELECT count(*)::int FROM ${table}`)
          counts.push(
            await counted.then(
              ({ rows }) => rows[0].count,
              ({ code }) => code,
            ),
          )
        }
      }
      return counts
    })

  const examine = (login: { user: string; password: string }) =>
    diagnose({
      env: {
        ...{ AUTH_SECRET: MARKERS.secret, DATABASE_URL: url(login) },
        ...(options && { AUTH_BRIDGE_OPTIONS: JSON.stringify(options) }),
      },
    })

  test('the app sees the same rows as before, and the bridge works', async () => {
    const before = await rowsOfApp()
    const { check } = await examine({ user: 'app', password: 'app' })
    const found = check('row-security')
    expect(['warning', 'failed']).toContain(found?.status)
    expect(found?.advice).toMatch(/would show the rows of all tenants to all that connects as app\./)
    expect(found?.advice).toMatch(
      /connect the bridge alone as authjs_bridge, by a URL of its own in AUTH_BRIDGE_DATABASE_URL\.$/,
    )
    if (options) expect(found?.advice).not.toContain('search_path')
    await runAdvice(client, found?.advice)
    await client.query(`ALTER ROLE ${ROLE} PASSWORD '${MARKERS.password}'`)

    expect(await rowsOfApp()).toEqual(before)
    const bridge = open(url(LOGIN), options)
    const bodies = await Promise.all(cookies.map(({ cookie }) => bridge.getSession(cookie)))
    expect(bodies.map((body) => body.session_id)).toEqual(cookies.map(({ session_id }) => session_id))
    const examined = await examine(LOGIN)
    expect(examined.checks.filter(({ status }) => status !== 'ok')).toEqual([])
    const { rows } = await client.query(
      `SELECT grantee FROM information_schema.column_privileges WHERE table_name IN ('sessions', 'Session', 'users') AND grantee NOT IN
         ('postgres', 'app', '${ROLE}')`,
    )
    expect(rows).toEqual([])
  })

  test('followed a second time, it still can be run', async () => {
    const { check } = await examine({ user: 'app', password: 'app' })
    await runAdvice(client, check('row-security')?.advice)
    expect(check('row-security')?.advice).not.toContain('CREATE')
  })
})
