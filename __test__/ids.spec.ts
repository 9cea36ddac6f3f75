// Ids of any type that columns have: they are compared by the type of the column, by its index, and no id of a token makes
// a query fail.

import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AuthBridge, AuthBridgeOptions } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'

type Key = [tenant: unknown, session_id: unknown, user_id: unknown]

interface Ids {
  /** The type of tenant, session_id and user_id. */
  types: [string, string, string]
  /** How `PREPARE` names the types of the parameters. */
  parameters: [string, string, string]
  ids: [Key, Key, Key]
  /** Ids of tokens that are no ids of such a column. */
  unfit: unknown[]
}

const TENANT = randomUUID()
const uuids = (): Key => [TENANT, randomUUID(), randomUUID()]
const texts = (prefix: string): Ids['ids'] => {
  const key = (id: string): Key => [`${prefix}t`, `${prefix}-s-${id}`, `${prefix}-u-${id}`]
  return [key('a'), key('b'), key('c')]
}
const NEVER = ['', 'a\0b', '\ud800', 'x'.repeat(10_000), null, true, ['1'], { id: '1' }]
const NO_INTEGER = [
  'x',
  '1.5',
  1.5,
  1.5e300,
  '007',
  ' 1',
  '1e3',
  '9223372036854775808',
  '-9223372036854775809',
  randomUUID(),
]

const TYPES: Record<string, Ids> = {
  uuid: {
    types: ['uuid', 'uuid', 'uuid'],
    parameters: ['uuid', 'uuid', 'uuid'],
    ids: [uuids(), uuids(), uuids()],
    unfit: ['x', 7, '{00000000-0000-0000-0000-000000000000}', '00000000000000000000000000000000'],
  },
  text: { types: ['text', 'text', 'text'], parameters: ['text', 'text', 'text'], ids: texts('text'), unfit: [] },
  varchar: {
    types: ['varchar(40)', 'varchar(40)', 'varchar'],
    parameters: ['text', 'text', 'text'],
    ids: texts('varchar'),
    unfit: [],
  },
  char: {
    types: ['char(40)', 'char(40)', 'char(40)'],
    parameters: ['bpchar', 'bpchar', 'bpchar'],
    ids: texts('char'),
    unfit: [],
  },
  citext: {
    types: ['citext', 'citext', 'citext'],
    parameters: ['text', 'text', 'text'],
    ids: texts('citext'),
    unfit: [],
  },
  int4: {
    types: ['int4', 'int4', 'int4'],
    parameters: ['int8', 'int8', 'int8'],
    ids: [
      [1, 11, 21],
      [1, 12, '22'],
      [1, '2147483647', 23],
    ],
    unfit: NO_INTEGER,
  },
  int8: {
    types: ['int8', 'int8', 'int8'],
    parameters: ['int8', 'int8', 'int8'],
    ids: [
      [1, '9223372036854775807', 21],
      [1, '-9223372036854775808', 22],
      [1, 13, '23'],
    ],
    unfit: NO_INTEGER,
  },
  'a domain over a domain': {
    types: ['tenant_name', 'long_number', 'uuid_of_app'],
    parameters: ['text', 'int8', 'uuid'],
    ids: [
      ['acme', 1, randomUUID()],
      ['acme', 2, randomUUID()],
      ['acme', 3, randomUUID()],
    ],
    unfit: [],
  },
}

const database = useDatabase(async (client) => {
  await client.query(`
    CREATE SCHEMA extensions;
    CREATE EXTENSION citext SCHEMA extensions;
    SET search_path = public, extensions;
    CREATE DOMAIN name_of_app AS text; CREATE DOMAIN tenant_name AS name_of_app CHECK (value <> '');
    CREATE DOMAIN number_of_app AS int8; CREATE DOMAIN long_number AS number_of_app;
    CREATE DOMAIN uuid_of_app AS uuid;`)
  for (const [name, { types, ids }] of Object.entries(TYPES)) await createTables(client, name, types, ids)
})

async function createTables(client: pg.Client, schema: string, types: string[], ids: Key[]) {
  const [tenant, session, user] = types
  const name = pg.escapeIdentifier(schema)
  await client.query(`
    CREATE SCHEMA ${name};
    CREATE TABLE ${name}.users (tenant ${tenant}, user_id ${user}, user_type text, PRIMARY KEY (tenant, user_id));
    CREATE TABLE ${name}.sessions (tenant ${tenant}, session_id ${session}, user_id ${user}, expires_at timestamptz,
      revoked_at timestamptz, revoked_reason text, PRIMARY KEY (tenant, session_id));`)
  for (const [tenant, session, user] of ids) {
    await client.query(`INSERT INTO ${name}.users VALUES ($1, $2, 'internal')`, [tenant, user])
    await client.query(`INSERT INTO ${name}.sessions VALUES ($1, $2, $3)`, [tenant, session, user])
  }
}

const open = useBridges()
const connect = (schema: string, options: AuthBridgeOptions = {}) =>
  open(database.url, { tables: { sessions: `${schema}.sessions`, users: `${schema}.users` }, ...options })
const mint = (tenant: unknown, session_id: unknown, id: unknown, more: object = {}) =>
  mintCookie({ tenant, session_id, id, user_type: 'internal', ...more }, { secret: SECRET })
/** All at once, so that they share queries. */
const idsOf = async (bridge: AuthBridge, cookies: string[]) =>
  (await Promise.all(cookies.map((cookie) => bridge.getSession(cookie)))).map(({ session_id }) => session_id)

const MODES: [string, AuthBridgeOptions][] = [
  ['prepared', {}],
  ['not prepared', { preparedStatements: false }],
  ['sharded', { sharded: true }],
]

describe.each(Object.entries(TYPES))('%s', (schema, { types, ids, unfit, parameters }) => {
  const name = pg.escapeIdentifier(schema)
  const good = () => Promise.all(ids.map(([tenant, session, user]) => mint(tenant, session, user)))
  const found = ids.map(([, session]) => String(session))

  test.each(MODES)('sessions are found alone and together: %s', async (_, options) => {
    const bridge = connect(schema, options)
    const cookies = await good()
    expect(await bridge.getSession(cookies[0])).toMatchObject({
      session_id: found[0],
      user: { id: String(ids[0][2]), tenant: String(ids[0][0]) },
    })
    expect(await idsOf(bridge, [...cookies, ...cookies])).toEqual([...found, ...found])
    expect(await bridge.explainSession(cookies[0])).toMatchObject({
      reason: 'live',
      session: { sessionId: found[0], tenant: String(ids[0][0]), userId: String(ids[0][2]) },
    })
    expect(await bridge.health()).toEqual({ milliseconds: expect.any(Number) })
  })

  test.each(MODES)('ids that no column holds are unauthenticated, and spoil no batch: %s', async (_, options) => {
    const bridge = connect(schema, options)
    const [tenant, session, user] = ids[0]
    const bad = await Promise.all(
      [...NEVER, ...unfit].flatMap((id) => [
        mint(id, session, user),
        mint(tenant, id, user),
        mint(tenant, session, id),
      ]),
    )
    const all = [...(await good()), ...bad, ...(await good())]
    const expected = [...found, ...bad.map(() => undefined), ...found]
    // At first without the types of the columns, then with them.
    expect(await idsOf(bridge, all)).toEqual(expected)
    expect(await idsOf(bridge, all)).toEqual(expected)
    const { batches, errors } = bridge.stats()
    expect(Object.values(errors).filter(Boolean)).toEqual([])
    for (const cookie of bad) expect(await bridge.getSession(cookie)).toEqual({})
    expect(bridge.stats().batches.count, 'queries').toBe(batches.count)
  })

  test('another user, another tenant and another session are unauthenticated', async () => {
    const bridge = connect(schema)
    const [[tenant, session, user], [, , other]] = ids
    const elsewhere = { uuid: randomUUID(), int8: 99, text: 'elsewhere', bpchar: 'elsewhere' }
    const unknown = (place: number) => elsewhere[parameters[place] as keyof typeof elsewhere]
    for (const [cookie, reason] of [
      [await mint(tenant, session, other), 'user-mismatch'],
      [await mint(tenant, session, unknown(2)), 'user-mismatch'],
      [await mint(tenant, unknown(1), user), 'session-unknown'],
      [await mint(unknown(0), session, user), 'session-unknown'],
    ] as const) {
      expect(await bridge.explainSession(cookie)).toMatchObject({
        reason,
        ...(reason === 'user-mismatch' && { sessionUserId: expect.stringMatching(new RegExp(`^${user} *$`)) }),
      })
      expect(await idsOf(bridge, [cookie, ...(await good())])).toEqual([undefined, ...found])
    }
  })

  test('a revoked session, and one whose user is gone, are unauthenticated with the next call', async () => {
    const bridge = connect(schema)
    const cookies = await good()
    const [tenant, session, user] = ids[2]
    const key = 'WHERE tenant = $1 AND session_id = $2'
    await database.client.query(`UPDATE ${name}.sessions SET revoked_at = now(), revoked_reason = 'lost' ${key}`, [
      tenant,
      session,
    ])
    expect(await idsOf(bridge, cookies)).toEqual([found[0], found[1], undefined])
    expect(await bridge.explainSession(cookies[2])).toMatchObject({ reason: 'session-revoked', revokedReason: 'lost' })
    await database.client.query(`UPDATE ${name}.sessions SET revoked_at = NULL ${key}`, [tenant, session])
    await database.client.query(`DELETE FROM ${name}.users WHERE tenant = $1 AND user_id = $2`, [tenant, user])
    expect(await idsOf(bridge, cookies)).toEqual([found[0], found[1], undefined])
    expect(await bridge.explainSession(cookies[2])).toMatchObject({ reason: 'user-gone' })
    await database.client.query(`INSERT INTO ${name}.users VALUES ($1, $2, 'internal')`, [tenant, user])
    expect(await idsOf(bridge, cookies)).toEqual(found)
  })

  test('the plan of each statement uses the indexes', async () => {
    // So many rows of one tenant that PostgreSQL doesn't read them all.
    const row = (type: string) => (/^uuid/.test(type) ? 'gen_random_uuid()' : 'n::text')
    const [session = '', user = ''] = types.slice(1)
    for (const [table, columns, values] of [
      ['users', 'tenant, user_id, user_type', `${row(user)}::${user}, 'client'`],
      ['sessions', 'tenant, session_id, user_id', `${row(session)}::${session}, ${row(user)}::${user}`],
    ])
      await database.client.query(`
        INSERT INTO ${name}.${table} (${columns})
        SELECT tenant, ${values} FROM generate_series(1000, 6000) n, (SELECT tenant FROM ${name}.users LIMIT 1) t;
        ANALYZE ${name}.${table}`)
    const lists = parameters.map((type) => `${type}[]`)
    for (const [options, parameterTypes, together] of [
      [{}, parameters, false],
      [{}, lists, true],
      [{ sharded: true }, [parameters[0], ...lists.slice(1)], true],
    ] as const) {
      const bridge = connect(schema, { ...options, maxConnections: 1 })
      const cookies = await good()
      do {
        // On a busy machine the last of them may go alone.
        await (together ? idsOf(bridge, [cookies[0] ?? '', ...cookies]) : bridge.getSession(cookies[0]))
      } while (together !== (await lastQuery()).includes('unnest'))
      const plan = await planOfLastQuery(parameterTypes)
      expect(plan).toMatch(/Index Cond: .*session_id/)
      expect(plan).toMatch(/Index Cond: .*user_id/)
      expect(plan).not.toContain('Seq Scan')
      await bridge.close()
    }
  })
})

/** Of the bridge that was used last. Connections of others may still be closing. */
async function lastQuery(): Promise<string> {
  const { rows } = await database.client.query(
    `SELECT query FROM pg_stat_activity WHERE application_name = 'authjs-bridge' AND datname = current_database()
     ORDER BY query_start DESC LIMIT 1`,
  )
  return rows[0].query
}

/** With parameters of these types. */
async function planOfLastQuery(types: readonly string[]) {
  const query = await lastQuery()
  const { client } = database
  await client.query('SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan')
  await client.query(`PREPARE looked_at (${types}) AS ${query}`)
  const plan = await client.query(`EXPLAIN EXECUTE looked_at (${types.map(() => 'NULL')})`)
  await client.query('DEALLOCATE looked_at; RESET enable_seqscan; RESET plan_cache_mode')
  return plan.rows.map((row) => row['QUERY PLAN']).join('\n')
}

describe('texts', () => {
  test.each([
    ['text', 'TEXT-S-A', undefined],
    ['text', 'text-s-a ', undefined],
    ['char', 'char-s-a   ', 'char-s-a   '],
    ['char', 'CHAR-s-a', undefined],
    ['citext', 'CITEXT-S-A', 'CITEXT-S-A'],
    ['citext', 'citext-s-a ', undefined],
  ])('are compared as their column compares them: %s %o', async (schema, session, expected) => {
    const [[tenant, , user]] = (TYPES[schema] as Ids).ids
    const bridge = connect(schema)
    const cookie = await mint(tenant, session, schema === 'citext' ? String(user).toUpperCase() : user)
    expect(await idsOf(bridge, [cookie])).toEqual([expected])
    expect(await idsOf(bridge, [cookie, cookie, await mint(tenant, 'other', user)])).toEqual([
      expected,
      expected,
      undefined,
    ])
  })

  test('two spellings of one id share a query, and each is answered', async () => {
    const cookies = await Promise.all(['citext-s-a', 'CITEXT-s-a'].map((id) => mint('CITEXTT', id, 'citext-u-a')))
    for (const options of [{}, { sharded: true }]) {
      const bridge = connect('citext', { ...options, maxConnections: 1 })
      expect(await idsOf(bridge, [...cookies, ...cookies, ...cookies])).not.toContain(undefined)
    }
  })
})

describe('a database that is not UTF-8', () => {
  const name = `latin_${randomUUID().replaceAll('-', '')}`
  const url = new URL(database.url)
  url.pathname = name
  beforeAll(async () => {
    await database.client.query(`CREATE DATABASE ${name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`)
    const client = new pg.Client(url.href)
    await client.connect()
    await createTables(client, 'latin', ['text', 'text', 'text'], [['t', 's', 'u']])
    await client.end()
  })
  afterAll(() => database.client.query(`DROP DATABASE ${name} WITH (FORCE)`))

  test('an id with a character that it lacks is unauthenticated, and spoils no batch', async () => {
    const bridge = open(url.href, { tables: { sessions: 'latin.sessions', users: 'latin.users' } })
    const cookies = await Promise.all(['s', '€', 'Ж', 's'].map((id) => mint('t', id, 'u')))
    for (let call = 0; call < 2; call++) expect(await idsOf(bridge, cookies)).toEqual(['s', undefined, undefined, 's'])
  })
})

describe('columns that get another type', () => {
  const uuid = randomUUID()
  test.each([
    ['uuid', 'text', uuid, 'a-text'],
    ['text', 'uuid', 'a-text', uuid],
    ['int4', 'int8', 7, '9000000000'],
    ['int4', 'text', 7, 'a-text'],
    ['text', 'citext', 'a-text', 'A-TEXT'],
  ])('from %s to %s: the next call is right', async (from, to, before, after) => {
    for (const [mode, options] of MODES) {
      const schema = `changing ${from} to ${to} ${mode}`
      const name = pg.escapeIdentifier(schema)
      await createTables(database.client, schema, ['text', from, from], [['t', before, before]])
      const bridge = connect(schema, options)
      expect(await idsOf(bridge, [await mint('t', before, before)])).toEqual([String(before)])
      // So that a statement for several is prepared, too.
      const [one, other] = [await mint('t', before, before), await mint('other', before, before)]
      expect(await idsOf(bridge, [one, other, one])).toEqual([String(before), undefined, String(before)])
      await database.client.query(`
        ALTER TABLE ${name}.users ALTER user_id TYPE ${to} USING '${after}';
        ALTER TABLE ${name}.sessions ALTER session_id TYPE ${to} USING '${after}', ALTER user_id TYPE ${to} USING '${after}'`)
      const cookie = await mint('t', after, after)
      // A column of text finds a text of citext as well, until the types are looked at again.
      const asBefore = from === 'text' && to === 'citext'
      if (!asBefore) await idsOf(bridge, [await mint('t', before, before)])
      expect(await idsOf(bridge, [cookie]), mode).toEqual([String(after)])
      expect(await idsOf(bridge, [cookie, other, cookie]), mode).toEqual([String(after), undefined, String(after)])
    }
  })
})

test('until the types are known an id that is no UUID waits for the database; then it is refused at once', async () => {
  const bridge = connect('uuid')
  const cookie = await mint('acme', randomUUID(), randomUUID())
  expect(await bridge.explainSession(cookie)).toEqual({
    status: 'unauthenticated',
    reason: 'missing-claims',
    claims: ['tenant'],
    cookie: { name: 'authjs.session-token', whole: true, chunks: [] },
  })
  expect(await bridge.getSession(cookie)).toEqual({})
  expect(bridge.stats()).toMatchObject({ batches: { count: 0 }, reasons: { 'missing-claims': 1 } })

  const nowhere = open('postgres://u:p@127.0.0.1:1/d')
  await expect(nowhere.getSession(cookie)).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_DATABASE' })
})
