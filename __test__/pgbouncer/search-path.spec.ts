// Behind a pooler another client shares the connection to the server, and may have set anything on it. It decides neither which
// tables are asked, nor what an operator or a function in our query means.

import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { AuthBridgeOptions } from '../../index.js'
import { SECRET, useBridges } from '../support/bridges.js'
import { diagnose, MARKERS } from '../support/command-line.js'
import { mintCookie } from '../support/cookies.mjs'
import { QUICK, withClient } from '../support/faults.js'
import { startPgBouncer } from '../support/pgbouncer.mjs'
import { startPostgres } from '../support/postgres.mjs'
import { claimsOf, createSession, createTables, createUser } from '../support/tenants.mjs'

const CALLS = 10
const PAST = new Date('2026-01-02')

/** What the queries of the catalog use. */
const SHADOWED_TYPES = ['text', 'float8', 'int2', 'int4', 'oid', 'name']
const SHADOWED_FUNCTIONS = ['unnest(int2[])', 'unnest(oid[])', 'lower(text)', 'regexp_replace(text, text, text)']
const RAISE = `LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $shadowed$shadowed$shadowed$; END'`
/** All comparisons of the types that the catalog has, but those that are shadowed already. */
const SHADOW_OPERATORS = `
  DO $do$ DECLARE o record; types regtype[] = '{name,text,oid,"char",int2,int4,int8,float4,float8}';
  BEGIN
    FOR o IN
      SELECT oprname AS name, oprleft::regtype AS l, oprright::regtype AS r FROM pg_operator
      WHERE oprname IN ('=', '<>', '<', '>', '<=', '>=', '~', '!~') AND oprleft = ANY (types) AND oprright = ANY (types)
    LOOP
      EXECUTE format('CREATE OR REPLACE FUNCTION evil.raise(%s, %s) RETURNS boolean %s', o.l, o.r, $raise$${RAISE}$raise$);
      EXECUTE format('CREATE OPERATOR evil.%s (FUNCTION = evil.raise, LEFTARG = %s, RIGHTARG = %s)', o.name, o.l, o.r);
    END LOOP;
  END $do$;`

let server: Awaited<ReturnType<typeof startPostgres>>
/** Of a live session, and of some that are not. */
let live: { cookie: string; session_id: string }
let refused: string[]

beforeAll(async () => {
  server = await startPostgres()
  await withClient(server.url(), async (client) => {
    await createTables(client)
    const user = await createUser(client)
    const create = async (columns = {}) => {
      const session = await createSession(client, user, columns)
      return { ...session, cookie: await mintCookie(claimsOf(user, session), { secret: SECRET }) }
    }
    live = await create()
    const [revoked, expired, unknown] = [
      await create({ revoked_at: PAST }),
      await create({ expires_at: PAST }),
      await create(),
    ]
    await client.query('DELETE FROM sessions WHERE session_id = $1', [unknown.session_id])
    refused = [revoked.cookie, expired.cookie, unknown.cookie]
    // Where all is the other way round.
    const others = [revoked, expired, unknown].map(({ session_id }) => `'${session_id}'`).join()
    await client.query(`
      CREATE SCHEMA tenant_b;
      CREATE TABLE tenant_b.users AS TABLE users;
      CREATE TABLE tenant_b.sessions AS SELECT tenant, id::uuid AS session_id, user_id, NULL::timestamptz AS expires_at,
        NULL::timestamptz AS revoked_at, NULL AS revoked_reason FROM users, unnest(ARRAY[${others}]) AS id;
      CREATE ROLE tenant_b;
      GRANT USAGE ON SCHEMA tenant_b TO tenant_b;
      GRANT SELECT ON ALL TABLES IN SCHEMA public, tenant_b TO tenant_b;
      CREATE SCHEMA evil;
      CREATE FUNCTION evil.yes(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
      CREATE OPERATOR evil.= (FUNCTION = evil.yes, LEFTARG = uuid, RIGHTARG = uuid);
      CREATE FUNCTION evil.no(numeric, numeric) RETURNS boolean LANGUAGE sql AS 'SELECT false';
      CREATE OPERATOR evil.<= (FUNCTION = evil.no, LEFTARG = numeric, RIGHTARG = numeric);
      CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '1970-01-01'::timestamptz $$;
      CREATE FUNCTION evil.minus(bigint, integer) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
      CREATE OPERATOR evil.- (FUNCTION = evil.minus, LEFTARG = bigint, RIGHTARG = integer);
      CREATE FUNCTION evil.replace(text, text, text) RETURNS text LANGUAGE sql AS $$ SELECT 'tenant_b' $$;
      CREATE FUNCTION evil.getdatabaseencoding() RETURNS name LANGUAGE sql AS $$ SELECT 'SQL_ASCII'::name $$;
      CREATE FUNCTION evil.unnest(anyarray) RETURNS SETOF anyelement LANGUAGE sql AS 'SELECT $1[1] WHERE false';
      ${SHADOWED_TYPES.map((type) => `CREATE DOMAIN evil.${type} AS pg_catalog.${type} CHECK (false);`).join('')}
      ${SHADOW_OPERATORS}
      ${SHADOWED_FUNCTIONS.map((signature) => `CREATE FUNCTION evil.${signature} RETURNS text ${RAISE};`).join('')}`)
  })
})
afterAll(() => server.dispose())

/** The first query waits for the lock, and calls gather behind it, so that some share a query. */
const whileLocked = <T>(call: () => Promise<T>[]) =>
  withClient(server.url(), async (client) => {
    await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
    const calls = call()
    const waiting = `SELECT count(*)::int FROM pg_stat_activity WHERE wait_event_type = 'Lock'`
    await expect.poll(async () => (await client.query(waiting)).rows[0].count).toBe(1)
    await client.query('ROLLBACK')
    return Promise.all(calls)
  })

const HOSTILE: [string, string][] = [
  ['nothing', ''],
  ['another search path', 'SET search_path = tenant_b'],
  ['a schema before the right one', 'SET search_path = tenant_b, public'],
  ['a search path without tables', 'SET search_path = pg_catalog'],
  ['another role, whose schema has its name', 'SET ROLE tenant_b'],
  [
    'temporary tables',
    'CREATE TEMP TABLE users AS TABLE tenant_b.users; CREATE TEMP TABLE sessions AS TABLE tenant_b.sessions',
  ],
  ['operators and functions before those of PostgreSQL', 'SET search_path = evil, public, pg_catalog'],
]
const MODES: [string, Record<string, string | number>, AuthBridgeOptions][] = [
  ['transaction mode', {}, { preparedStatements: false }],
  ['transaction mode, sharded', {}, { preparedStatements: false, sharded: true }],
  ['statement mode', { pool_mode: 'statement' }, { preparedStatements: false }],
  ['session mode without a reset, prepared', { pool_mode: 'session', ignore_startup_parameters: 'options' }, {}],
]

describe.each(MODES)('%s', (_, settings, options) => {
  let pooler: Awaited<ReturnType<typeof startPgBouncer>>

  beforeAll(async () => {
    // One connection, which all clients share.
    pooler = await startPgBouncer(server.url(), { default_pool_size: 1, server_reset_query: '', ...settings })
  })
  afterAll(() => pooler.stop())
  afterEach(() => asOther('DISCARD ALL'))
  // Closed before that, since in session mode a bridge keeps the connection.
  const open = useBridges()

  async function asOther(statements: string) {
    const client = new pg.Client(server.url({ port: pooler.port }))
    await client.connect()
    for (const statement of statements.split('; ')) await client.query(statement)
    await client.end()
  }

  test.each(HOSTILE)('another client has set %s', async (_, statements) => {
    await asOther(statements)
    const bridge = open(server.url({ port: pooler.port }), { ...QUICK, maxConnections: 1, ...options })
    for (let call = 0; call < CALLS; call++) {
      for (const cookie of refused) expect(await bridge.getSession(cookie)).toEqual({})
      expect((await bridge.getSession(live.cookie)).session_id).toBe(live.session_id)
    }
    const cookies = [live.cookie, live.cookie, ...refused]
    const bodies = await whileLocked(() => cookies.map((cookie) => bridge.getSession(cookie)))
    expect(bodies.map((body) => body.session_id)).toEqual([
      live.session_id,
      live.session_id,
      ...refused.map(() => undefined),
    ])
    expect(bridge.stats().batches.max).toBeGreaterThan(1)
    expect(await bridge.explainSession(refused[0])).toMatchObject({
      ...{ reason: 'session-revoked', revokedAt: expect.stringContaining('2026-01-02') },
    })
  })
})

describe('doctor', () => {
  let pooler: Awaited<ReturnType<typeof startPgBouncer>>
  beforeAll(async () => {
    pooler = await startPgBouncer(server.url(), { default_pool_size: 1 })
  })
  afterAll(() => pooler.stop())

  const examine = (parameters: string) => {
    const url = server.url({ port: pooler.port }) + parameters
    return diagnose({ env: { AUTH_SECRET: MARKERS.secret, DATABASE_URL: url } })
  }

  test.each(HOSTILE)('says which tables are asked, and why; another client has set %s', async (_, statements) => {
    const client = new pg.Client(server.url({ port: pooler.port }))
    await client.connect()
    for (const statement of statements.split('; ')) await client.query(statement)
    const found = [await examine('?pgbouncer=true'), await examine('?pgbouncer=true&schema=tenant_b')]
    await client.query('DISCARD ALL')
    await client.end()
    expect(found.map(({ check }) => check('tables')?.message)).toEqual([
      'table public.sessions, table public.users; by the search path ("$user", public)',
      'table tenant_b.sessions, table tenant_b.users; by schema=tenant_b in DATABASE_URL',
    ])
    expect(found[0].check('sessions')?.details).toMatchObject({ live: 1, expired: 1, revoked: 1, trial: { tried: 1 } })
    expect([...found[0].withStatus('failed'), ...found[0].withStatus('warning')]).toEqual([])
  })
})
