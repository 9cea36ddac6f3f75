// doctor and tables as apps have them: ids of any type, other names, no tenants, users that are not asked for, fresh claims.
// Its messages and statements name the real tables and columns, and no others.

import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type pg from 'pg'
import { describe, expect, test } from 'vitest'
import type { AuthBridgeOptions } from '../index.js'
import { diagnose, MARKERS } from './support/command-line.js'
import { useDatabase } from './support/database.js'
import { runAdvice } from './support/sql.js'

const examine = (url: string, options: AuthBridgeOptions = {}) =>
  diagnose({ env: { AUTH_SECRET: MARKERS.secret, DATABASE_URL: url, AUTH_BRIDGE_OPTIONS: JSON.stringify(options) } })
type Examined = Awaited<ReturnType<typeof examine>>

const troubles = ({ checks }: Examined) => checks.filter(({ status }) => status !== 'ok')
const OK: unknown[] = []

/** A role that may do nothing, and its URL. */
async function createReader({ client, url }: ReturnType<typeof useDatabase>) {
  const reader = `Reader ${randomUUID()}`
  await client.query(`CREATE ROLE "${reader}" LOGIN PASSWORD '${MARKERS.password}'`)
  return { reader, url: Object.assign(new URL(url), { username: reader, password: MARKERS.password }).href }
}

/** Runs the statements of these checks as long as there are some, and returns what was run. */
async function follow(client: pg.Client, ids: string[], again: () => Promise<Examined>) {
  const statements = []
  for (let round = 0; round < 3; round++) {
    const { check } = await again()
    const advice = ids.flatMap((id) => check(id)?.advice ?? [])
    if (advice.length === 0) break
    statements.push(...(await runAdvice(client, advice.join('\n'))))
  }
  return statements
}

describe('ids of each type', () => {
  const uuids = [1, 2, 3].map(() => randomUUID())
  const texts = ['clh3k2jd50000qzrm3v1x9d0f', "it's \\ $3", 'Ünï "$2" code']
  const numbers = [-7, 0, 2147483647]
  /** The type of each column of an id, and ids. */
  const TYPES: Record<string, [string, unknown[]]> = {
    uuid: ['uuid', uuids],
    text: ['text', texts],
    'varchar without a length': ['varchar', texts],
    'varchar with a length': ['varchar(40)', texts],
    'char with the length of its ids': ['char(36)', uuids],
    'char that is longer than its ids': ['char(40)', texts],
    'citext, outside of the search path': ['extensions.citext', texts],
    int2: ['int2', [1, 2, 3]],
    int4: ['int4', numbers],
    int8: ['int8', [...numbers, '9223372036854775807']],
    'a domain over a domain over text': ['domains.tenant_name', texts],
    'a domain over uuid': ['domains."Id"', uuids],
    'a domain over int8': ['domains.number', numbers],
  }

  const database = useDatabase(async (client) => {
    await client.query(`
      CREATE SCHEMA extensions; CREATE EXTENSION citext SCHEMA extensions;
      CREATE SCHEMA domains;
      CREATE DOMAIN domains.name AS text; CREATE DOMAIN domains.tenant_name AS domains.name CHECK (value <> '');
      CREATE DOMAIN domains."Id" AS uuid; CREATE DOMAIN domains.number AS int8;`)
    const documented = await readFile(new URL('../schema.sql', import.meta.url), 'utf8')
    for (const [place, [type, ids]] of Object.values(TYPES).entries()) {
      await client.query(
        `CREATE SCHEMA t${place}; SET search_path = t${place}; ${documented.replaceAll(/\buuid\b/g, type)}`,
      )
      for (const id of ids) {
        await client.query(`INSERT INTO users (tenant, user_id, user_type) VALUES ($1, $1, 'client')`, [id])
        await client.query('INSERT INTO sessions (tenant, session_id, user_id) VALUES ($1, $1, $1)', [id])
      }
      await client.query('ANALYZE')
    }
  })

  test.each(Object.entries(TYPES))(
    '%s: no check fails, the plan has the index, and sessions are found',
    async (name, [, ids]) => {
      const place = Object.keys(TYPES).indexOf(name)
      const examined = await examine(`${database.url}?schema=t${place}`)
      expect(troubles(examined)).toEqual(OK)
      expect(examined.check('indexes')?.message).toBe('sessions by sessions_pkey, users by users_pkey')
      const trial = { tried: ids.length, refused: {} }
      expect(examined.check('sessions')?.details).toEqual({ live: ids.length, expired: 0, revoked: 0, trial })
      const shown = JSON.stringify(examined.checks)
      expect(ids.filter((id) => typeof id === 'string' && shown.includes(id))).toEqual([])
    },
  )

  test.each([
    ['varchar(40)', 'text'],
    ['text', 'extensions.citext'],
    ['extensions.citext', 'char(40)'],
    ['char(40)', 'varchar'],
    ['domains.tenant_name', 'text'],
    ['int4', 'int8'],
    ['int8', 'int2'],
    ['domains.number', 'int4'],
    ['domains."Id"', 'uuid'],
  ])('users by %s in sessions, and by %s in users, are of one family', async (ofSessions, ofUsers) => {
    const { client, url } = database
    const id = /int|number/.test(ofUsers) ? 7 : randomUUID()
    await client.query(`
      DROP SCHEMA IF EXISTS family CASCADE; CREATE SCHEMA family; SET search_path = family;
      CREATE TABLE users (user_id ${ofUsers} PRIMARY KEY);
      CREATE TABLE sessions (session_id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id ${ofSessions},
        expires_at timestamptz, revoked_at timestamptz, revoked_reason text);
      INSERT INTO users VALUES ('${id}'); INSERT INTO sessions (user_id) VALUES ('${id}')`)
    const examined = await examine(`${url}?schema=family`, { multiTenant: false, userCheck: 'exists' })
    expect(troubles(examined)).toEqual(OK)
    expect(examined.check('indexes')?.message).toBe('sessions by sessions_pkey, users by users_pkey')
    expect(examined.check('sessions')?.details).toMatchObject({ live: 1, trial: { tried: 1, refused: {} } })
  })

  test('citext: a user who is found in other letters, and has no type, is told of as such', async () => {
    const { client, url } = database
    await client.query(`
      CREATE SCHEMA letters; SET search_path = letters;
      CREATE TABLE users (user_id extensions.citext PRIMARY KEY, user_type text);
      CREATE TABLE sessions (session_id int PRIMARY KEY, user_id extensions.citext, expires_at timestamptz,
        revoked_at timestamptz, revoked_reason text);
      INSERT INTO users VALUES ('ADA'); INSERT INTO sessions VALUES (1, 'ada')`)
    const { check } = await examine(`${url}?schema=letters`, { multiTenant: false })
    expect(check('sessions')?.details).toMatchObject({ trial: { tried: 1, refused: { 'no-user-type': 1 } } })
  })
})

describe('tables of other names', () => {
  const tables = { sessions: 'Auth Data.Session', users: 'app.Session Users' }
  const BY_OPTION = 'by the option tables in AUTH_BRIDGE_OPTIONS'

  async function create(client: pg.Client) {
    const [tenant, session, user] = [1, 2, 3].map(() => randomUUID())
    await client.query(`
      CREATE SCHEMA "Auth Data"; CREATE SCHEMA app; CREATE SCHEMA people; CREATE SCHEMA billing;
      CREATE TABLE "Auth Data"."Session" (tenant uuid, session_id uuid, user_id uuid, expires_at timestamptz,
        revoked_at timestamptz, revoked_reason text, PRIMARY KEY (tenant, session_id));
      CREATE TABLE people.accounts (organization uuid, id uuid, is_staff boolean, PRIMARY KEY (organization, id));
      CREATE TABLE billing.plans (organization uuid PRIMARY KEY, "Plan" text, addons text[]);
      CREATE VIEW app."Session Users" AS
        SELECT organization AS tenant, id AS user_id, CASE WHEN is_staff THEN 'internal' ELSE 'client' END AS user_type,
          "Plan" AS plan, addons, "Plan" AS "Product Code"
        FROM people.accounts JOIN billing.plans USING (organization);
      INSERT INTO people.accounts VALUES ('${tenant}', '${user}', true);
      INSERT INTO billing.plans VALUES ('${tenant}', 'pro', '{a}');
      INSERT INTO "Auth Data"."Session" VALUES ('${tenant}', '${session}', '${user}');`)
  }
  const database = useDatabase(create)
  const again = (options: AuthBridgeOptions = {}, url = database.url) => examine(url, { tables, ...options })

  test('quoted, and a view over two schemas: all is well, and the messages name them', async () => {
    const examined = await again()
    expect(troubles(examined)).toEqual(OK)
    const { check } = examined
    expect(check('tables')?.message).toBe(
      `table Auth Data.Session, view app.Session Users of billing.plans, people.accounts; ${BY_OPTION}`,
    )
    expect(check('unique-keys')?.message).toBe(
      "Session (tenant, session_id), Session Users (tenant, user_id) can't be checked on a view",
    )
    expect(check('indexes')?.message).toBe('Session by Session_pkey, accounts by accounts_pkey, plans by plans_pkey')
    expect(check('sessions')?.details).toMatchObject({ live: 1, trial: { tried: 1, refused: {} } })
  })

  test.each<[string, AuthBridgeOptions['tables'], string, string]>([
    [
      'one by an option, the other by schema=',
      { users: tables.users },
      '?schema=Auth%20Data',
      'schema=Auth Data in DATABASE_URL',
    ],
    [
      'one by an option, the other by the search path',
      { sessions: tables.sessions },
      '',
      'the search path ("$user", public)',
    ],
  ])('%s: what says so, for each', async (_, tables, parameters, other) => {
    await database.client.query(`
      CREATE OR REPLACE VIEW "Auth Data".sessions AS TABLE "Auth Data"."Session";
      CREATE OR REPLACE VIEW public.users AS TABLE app."Session Users";`)
    const { check, code } = await examine(database.url + parameters, { tables })
    await database.client.query('DROP VIEW "Auth Data".sessions, public.users')
    expect(code).toBe(0)
    expect(check('tables')?.message).toContain(BY_OPTION)
    expect(check('tables')?.message).toContain(`by ${other}`)
  })

  test.each<[string, AuthBridgeOptions['tables'], string, RegExp]>([
    [
      'in lower case',
      { sessions: 'Auth Data.session', users: 'app.session users' },
      `session not found in schema Auth Data, named by the option tables in AUTH_BRIDGE_OPTIONS; session users not found in schema app, named by the option tables in AUTH_BRIDGE_OPTIONS`,
      /^There is Auth Data\.Session: set tables\.sessions to Auth Data\.Session in AUTH_BRIDGE_OPTIONS\.\nThere is app\.Session Users: set tables\.users to app\.Session Users in/,
    ],
    [
      'in another schema',
      { sessions: 'Session', users: tables.users },
      'Session not found in the search path ("$user", public), named by the option tables in AUTH_BRIDGE_OPTIONS',
      /^There is Auth Data\.Session: set tables\.sessions to Auth Data\.Session in AUTH_BRIDGE_OPTIONS\.$/,
    ],
    [
      'of no table',
      { sessions: 'auth.logins', users: tables.users },
      'logins not found in schema auth, named by the option tables in AUTH_BRIDGE_OPTIONS',
      /^Correct tables\.sessions in AUTH_BRIDGE_OPTIONS, or create the table\.$/,
    ],
  ])('a name %s: what is meant', async (_, tables, message, advice) => {
    const { check, withStatus } = await examine(database.url, { tables })
    expect(withStatus('failed')).toEqual(['tables'])
    expect(check('tables')).toMatchObject({ message, advice: expect.stringMatching(advice) })
  })

  test('the rights: each statement names them, and is enough', async () => {
    const { reader, url } = await createReader(database)
    const statements = await follow(database.client, ['rights'], () => again({}, url))
    expect(statements).toEqual([
      `GRANT USAGE ON SCHEMA "Auth Data" TO "${reader}"`,
      `GRANT USAGE ON SCHEMA "app" TO "${reader}"`,
      `GRANT SELECT (tenant, session_id, user_id, revoked_at, expires_at, revoked_reason) ON "Auth Data"."Session" TO "${reader}"`,
      `GRANT SELECT (tenant, user_id, user_type) ON "app"."Session Users" TO "${reader}"`,
    ])
    expect(troubles(await again({}, url))).toEqual(OK)
  })

  test('a missing key, and a column of another type: so it is', async () => {
    await database.client.query(`
      ALTER TABLE "Auth Data"."Session" DROP CONSTRAINT "Session_pkey", ALTER user_id TYPE text`)
    const statements = await follow(database.client, ['columns', 'unique-keys'], () => again())
    expect(statements).toEqual([
      'ALTER TABLE "Auth Data"."Session" ALTER COLUMN user_id TYPE uuid USING user_id::uuid',
      'ALTER TABLE "Auth Data"."Session" ADD UNIQUE (tenant, session_id)',
    ])
    expect(troubles(await again())).toEqual(OK)
  })

  test('users who are not there are told of by the name of the view', async () => {
    const rows = await database.client.query('DELETE FROM people.accounts RETURNING *')
    const { check } = await again()
    const [{ organization, id }] = rows.rows
    await database.client.query('INSERT INTO people.accounts VALUES ($1, $2, true)', [organization, id])
    expect(check('sessions')).toMatchObject({
      message: expect.stringMatching(/1 have a user who is not in Session Users, or hidden there$/),
      advice: expect.stringMatching(/^Each session needs a row in Session Users with its tenant and user_id/),
    })
  })

  describe('with fresh claims', () => {
    const fresh = { extraClaims: ['Product Code'], freshClaims: ['plan', 'addons', 'Product Code'] }

    test('of a view: all is well', async () => {
      expect(troubles(await again(fresh))).toEqual(OK)
    })

    test('that the user may not read: the GRANT quotes what needs it', async () => {
      const { reader, url } = await createReader(database)
      const statements = await follow(database.client, ['rights'], () => again(fresh, url))
      expect(statements.at(-1)).toBe(
        `GRANT SELECT (tenant, user_id, user_type, plan, addons, "Product Code") ON "app"."Session Users" TO "${reader}"`,
      )
      expect(troubles(await again(fresh, url))).toEqual(OK)
    })

    test('of a view that lacks one, or shows another type: what it has to show', async () => {
      const { check, withStatus } = await again({ freshClaims: ['email', 'premium_trial_confirmed'] })
      expect(withStatus('failed')).toEqual(['columns', 'lookups'])
      const or = 'Or take email out of the option freshClaims.'
      const view = '-- Session Users is a view of billing.plans, people.accounts: have it show'
      expect(check('columns')?.message).toBe(
        'Session Users.email is missing; Session Users.premium_trial_confirmed is missing',
      )
      expect(check('columns')?.advice?.split('\n')).toEqual([
        `${view} email as a text, an enum, a uuid or a time. ${or}`,
        `${view} premium_trial_confirmed as a boolean. ${or.replace('email', 'premium_trial_confirmed')}`,
      ])
      expect(check('lookups')).toMatchObject({
        message: expect.stringMatching(/column u\.email does not exist.*42703/),
        advice: 'Fix columns first.',
      })
    })
  })
})

describe('fresh claims of a table', () => {
  const options: AuthBridgeOptions = {
    ...{ multiTenant: false, userCheck: 'exists' },
    ...{ extraClaims: ['Product Code', 'limits'], freshClaims: ['plan', 'addons', 'Product Code', 'limits'] },
  }
  const database = useDatabase((client) =>
    client.query(`
      CREATE TABLE users (user_id int PRIMARY KEY);
      CREATE TABLE sessions (session_id int PRIMARY KEY, user_id int, expires_at timestamptz, revoked_at timestamptz,
        revoked_reason text);
      INSERT INTO users VALUES (1); INSERT INTO sessions VALUES (1, 1);`),
  )
  const again = () => examine(database.url, options)

  test('that are missing can be added', async () => {
    const { check, withStatus } = await again()
    expect(withStatus('failed')).toEqual(['columns', 'lookups'])
    const { message, advice = '' } = check('columns') ?? {}
    expect(message).toMatch(/^users\.plan is missing; users\.addons is missing; users\.Product Code is missing; /)
    expect(advice).toMatch(
      /^-- The column counts in place of the token's claim: fill it\. Or take plan out of the option/,
    )
    expect(await runAdvice(database.client, advice)).toEqual([
      'ALTER TABLE "public"."users" ADD COLUMN plan text',
      'ALTER TABLE "public"."users" ADD COLUMN addons text[]',
      'ALTER TABLE "public"."users" ADD COLUMN "Product Code" text',
      'ALTER TABLE "public"."users" ADD COLUMN limits text',
    ])
    expect(troubles(await again())).toEqual(OK)
  })

  test.each([
    ['plan', 'integer', 'a text, an enum, a uuid or a time'],
    ['addons', 'integer[]', 'text[], json or jsonb'],
    ['Product Code', 'bytea', 'a text, an enum, a uuid, a boolean, a number, a time, json, jsonb or text[]'],
  ])('%s as %s: what it can be, and no statement that changes a column of the app', async (name, type, suitable) => {
    const alter = (type: string) =>
      database.client.query(`ALTER TABLE users DROP "${name}"; ALTER TABLE users ADD "${name}" ${type}`)
    await alter(type)
    const { check, withStatus } = await again()
    await alter(name === 'addons' ? 'text[]' : 'text')
    expect(withStatus('failed')).toEqual(['columns', 'lookups'])
    expect(check('columns')).toMatchObject({
      message: `users.${name} is ${type}`,
      advice: `-- users.${name} must be ${suitable}. Change its type, make users a view that shows it so, or take ${name} out of the option freshClaims.`,
    })
    expect(check('lookups')?.message).toContain(`, but the fresh claim must be ${suitable}`)
    expect(check('lookups')?.advice).toBe('Fix columns first.')
  })
})

describe('without tenants', () => {
  const SINGLE = `
    CREATE TABLE users (user_id text PRIMARY KEY, user_type text);
    CREATE TABLE sessions (session_id text PRIMARY KEY, user_id text, expires_at timestamptz, revoked_at timestamptz,
      revoked_reason text);
    INSERT INTO users VALUES ('ada', 'client'); INSERT INTO sessions VALUES ('a', 'ada'), ('b', 'ada');`
  /** What is read, and words that are in no message, statement or detail. */
  const CHECKS: ['type' | 'exists' | 'none', string[], RegExp][] = [
    ['type', ['session_id, user_id, revoked_at, expires_at, revoked_reason', 'user_id, user_type'], /tenant/],
    ['exists', ['session_id, user_id, revoked_at, expires_at, revoked_reason', 'user_id'], /tenant|user_type/],
    ['none', ['session_id, user_id, revoked_at, expires_at, revoked_reason'], /tenant|user_type|\busers\b/],
  ]

  describe.each(CHECKS)("with userCheck '%s'", (userCheck, granted, never) => {
    const options = { multiTenant: false, userCheck } as const
    const database = useDatabase(async (client) => {
      await client.query(SINGLE)
      if (userCheck === 'exists') await client.query('ALTER TABLE users DROP user_type')
      if (userCheck === 'none') await client.query('DROP TABLE users')
    })
    const again = (url = database.url) => examine(url, options)
    const words = ({ checks }: Examined) => JSON.stringify(checks)
    const names = ['sessions', 'users'].slice(0, granted.length)

    test('all is well, and nothing else is named', async () => {
      const examined = await again()
      expect(troubles(examined)).toEqual(OK)
      expect(words(examined)).not.toMatch(never)
      const { check } = examined
      expect(check('tables')?.message).toMatch(names.map((name) => `table public.${name}`).join(', '))
      expect(check('unique-keys')?.message).toBe(
        ['sessions (session_id)', 'users (user_id)'].slice(0, names.length).join(', '),
      )
      expect(check('indexes')?.message).toBe(names.map((name) => `${name} by ${name}_pkey`).join(', '))
      expect(check('sessions')?.details).toMatchObject({ live: 2, trial: { tried: 2, refused: {} } })
    })

    test('the rights are those of these columns', async () => {
      const { reader, url } = await createReader(database)
      const statements = await follow(database.client, ['rights'], () => again(url))
      expect(statements).toEqual(
        names.map((name, place) => `GRANT SELECT (${granted[place]}) ON "public"."${name}" TO "${reader}"`),
      )
      const examined = await again(url)
      expect(troubles(examined)).toEqual(OK)
      expect(words(examined)).not.toMatch(never)
    })

    test('the keys and indexes are those of the ids alone', async () => {
      for (const name of names) await database.client.query(`ALTER TABLE ${name} DROP CONSTRAINT ${name}_pkey`)
      // It can be read as a whole, which is no better.
      await database.client.query('CREATE INDEX by_user ON sessions (user_id)')
      const broken = await again()
      expect(broken.withStatus('failed')).toEqual(['indexes'])
      expect(broken.check('indexes')?.message).toBe(`each request reads the whole table ${names.join(' and ')}`)
      expect(words(broken)).not.toMatch(never)
      const statements = await follow(database.client, ['unique-keys'], again)
      expect(statements).toEqual(
        ['"sessions" ADD UNIQUE (session_id)', '"users" ADD UNIQUE (user_id)']
          .slice(0, names.length)
          .map((action) => `ALTER TABLE "public".${action}`),
      )
      expect(troubles(await again())).toEqual(OK)
    })

    test('a view of a table without an index, and row-level security: no word of what is not there', async () => {
      await database.client.query(`
        ALTER TABLE sessions RENAME TO logins; ALTER TABLE logins DROP CONSTRAINT sessions_session_id_key;
        CREATE VIEW sessions AS TABLE logins`)
      const viewed = await again()
      expect(viewed.check('indexes')?.advice).toMatch(/the view shows as session_id and user_id\./)
      await database.client.query(`
        DROP VIEW sessions; ALTER TABLE logins RENAME TO sessions; ALTER TABLE sessions ADD UNIQUE (session_id);
        ALTER TABLE sessions ENABLE ROW LEVEL SECURITY`)
      const { url, reader } = await createReader(database)
      await database.client.query(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO "${reader}"`)
      const secured = await again(url)
      expect(secured.check('row-security')?.status).toBe('failed')
      expect(secured.check('row-security')?.advice).toContain(
        names
          .map((name, place) => `GRANT SELECT (${granted[place]}) ON "public"."${name}" TO authjs_bridge;`)
          .join('\n'),
      )
      expect(words(viewed) + words(secured)).not.toMatch(never)
    })
  })

  const empty = useDatabase(async () => {})
  test('and without tables: the statement for such tables', async () => {
    const { check } = await examine(empty.url, { multiTenant: false })
    const advice = 'Create them: npx authjs-bridge schema --single-tenant | psql "$DATABASE_URL"'
    expect(check('tables')).toMatchObject({ status: 'failed', advice })
  })
})
