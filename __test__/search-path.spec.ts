// Which tables are asked where the URL names no PostgreSQL schema: those that PostgreSQL itself finds on a new connection.

import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { SECRET, useBridges } from './support/bridges.js'
import { diagnose, MARKERS } from './support/command-line.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { rejectionOf } from './support/faults.js'
import { claimsOf, createSession, createTables, createUser } from './support/tenants.mjs'

const READER = `Reader ${randomUUID()}`
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`
const SCHEMAS = ['app', 'My app', 'a"b', 'a,b', READER, 'closed', 'order']

const database = useDatabase()
const open = useBridges()
let user: Awaited<ReturnType<typeof createUser>>

beforeAll(async () => {
  const { client } = database
  user = await createUser(client)
  await client.query(`CREATE ROLE ${quoted(READER)} LOGIN PASSWORD '${MARKERS.password}'`)
  for (const schema of SCHEMAS.map(quoted)) {
    await client.query(`CREATE SCHEMA ${schema}; GRANT USAGE ON SCHEMA ${schema} TO ${quoted(READER)}`)
    await client.query(`CREATE TABLE ${schema}.users AS TABLE users`)
    await client.query(`CREATE TABLE ${schema}.sessions (LIKE sessions)`)
  }
  await client.query(`
    REVOKE USAGE ON SCHEMA closed FROM ${quoted(READER)};
    CREATE SCHEMA odd; CREATE TABLE odd.one (x int); CREATE INDEX sessions ON odd.one (x);
    CREATE SCHEMA half; CREATE TABLE half.users AS TABLE users;
    GRANT USAGE ON SCHEMA odd, half TO ${quoted(READER)}`)
  for (const schema of ['public', 'half', ...SCHEMAS].map(quoted)) {
    await client.query(`GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO ${quoted(READER)}`)
  }
})

function url(parameters = '') {
  const own = new URL(database.url + parameters)
  Object.assign(own, { username: READER, password: MARKERS.password })
  return own.href
}

/** What PostgreSQL says on a connection of its own. */
async function found(parameters: string) {
  const client = new pg.Client(url(parameters))
  await client.connect()
  const { rows } = await client.query(`
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid IN (to_regclass('sessions'), to_regclass('users')) ORDER BY 2`)
  await client.end()
  return rows.map(({ nspname, relname }) => `table ${nspname}.${relname}`).join(', ')
}

/** A session with a row there alone. */
async function createSessionIn(schema: string) {
  const session = await createSession(database.client, user)
  if (schema !== '"public".sessions') {
    await database.client.query(`
      INSERT INTO ${schema} SELECT * FROM public.sessions WHERE session_id = '${session.session_id}';
      DELETE FROM public.sessions WHERE session_id = '${session.session_id}'`)
  }
  const cookie = await mintCookie(claimsOf(user, session), { secret: SECRET })
  return { cookie, session_id: session.session_id }
}

describe('the default search path', () => {
  test.each([
    ['of the server', undefined, READER],
    ['app', 'app', 'app'],
    ['upper case without quotes', 'APP', 'app'],
    ['upper case and a space', '"My app"', 'My app'],
    ['a quote in a name', '"a""b", public', 'a"b'],
    ['a comma in a name', ' "a,b" ,public', 'a,b'],
    ['a reserved word', '"order"', 'order'],
    ['a schema that there is not', 'gone, app, public', 'app'],
    ['a schema that the user may not use', 'closed, app', 'app'],
    ['the user after another', 'public, "$user"', 'public'],
    ['the user without quotes', '$user, public', READER],
    ['what is no table', 'odd, app', 'app'],
    ['PostgreSQL’s own before all', 'pg_catalog, app', 'app'],
  ])('%s', async (_, path, schema) => {
    const parameters = path ? `?options=${encodeURIComponent(`-c search_path=${path.replaceAll(' ', '\\ ')}`)}` : ''
    const { check } = await diagnose({ env: { AUTH_SECRET: MARKERS.secret, DATABASE_URL: url(parameters) } })
    if (path !== 'odd, app')
      expect(check('tables')?.message).toContain(`${await found(parameters)}; by the search path (`)
    const { cookie, session_id } = await createSessionIn(`${quoted(schema)}.sessions`)
    const options = [{}, { preparedStatements: false }, { sharded: true }]
    const bodies = await Promise.all(options.map((each) => open(url(parameters), each).getSession(cookie)))
    expect(bodies.map((body) => body.session_id)).toEqual([session_id, session_id, session_id])
  })

  test('as it is set for the user', async () => {
    const role = `ALTER ROLE ${quoted(READER)} IN DATABASE ${database.client.database}`
    await database.client.query(`${role} SET search_path = "My app", public`)
    const { cookie, session_id } = await createSessionIn('"My app".sessions')
    expect((await open(url()).getSession(cookie)).session_id).toBe(session_id)
    await database.client.query(`${role} RESET search_path`)
  })

  test('with the tables in different schemas', async () => {
    const parameters = '?options=-c%20search_path%3Dhalf,app'
    const { cookie, session_id } = await createSessionIn('app.sessions')
    await database.client.query('DELETE FROM app.users')
    expect((await open(url(parameters)).getSession(cookie)).session_id).toBe(session_id)
    const environment = { AUTH_SECRET: MARKERS.secret, DATABASE_URL: url(parameters) }
    const { check } = await diagnose({ env: environment })
    expect(check('tables')?.message).toBe('table app.sessions, table half.users; by the search path (half,app)')
    await database.client.query('INSERT INTO app.users SELECT * FROM public.users')
  })
})

describe('tables that come, move or go', () => {
  const late = useDatabase(async () => {})
  test('are found at the next call', async () => {
    const { client } = late
    const bridge = open(late.url)
    const cookieOf = async () => {
      const user = await createUser(client)
      return mintCookie(claimsOf(user, await createSession(client, user)), { secret: SECRET })
    }
    const nobody = await mintCookie(claimsOf(user, await createSession(database.client, user)), { secret: SECRET })
    const missing = /sessions and users not found in the search path \("\$user", public\); .* set schema=/
    for (let call = 0; call < 2; call++) {
      expect(await rejectionOf(bridge, nobody)).toMatchObject({
        ...{ code: 'ERR_AUTH_BRIDGE_DATABASE', message: expect.stringMatching(missing) },
      })
    }
    await createTables(client)
    const cookie = await cookieOf()
    expect(await bridge.getSession(cookie)).toHaveProperty('session_id')
    expect(await bridge.explainSession(nobody)).toMatchObject({ reason: 'session-unknown' })

    await client.query('CREATE SCHEMA postgres; ALTER TABLE sessions SET SCHEMA postgres')
    expect(await bridge.getSession(cookie)).toHaveProperty('session_id')
    await client.query('DROP TABLE postgres.sessions')
    expect(await rejectionOf(bridge, cookie)).toMatchObject({
      message: expect.stringMatching(/^.*: sessions not found/),
    })
  })
})
