// Fresh claims: columns of the users relation count in place of the token's claims, in the query that asks whether the
// session lives.

import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { AuthBridgeOptions } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { claimsOf, createSession, createTables, createUser } from './support/tenants.mjs'

const database = useDatabase(async (client) => {
  await createTables(client)
  await client.query(
    `CREATE TYPE plan AS ENUM ('solo', 'Pro "2"'); CREATE EXTENSION citext; CREATE DOMAIN flag AS bool`,
  )
})
const open = useBridges()
const connect = (options: AuthBridgeOptions) => open(database.url, options)

/** A signed-in user whose token has these claims. */
async function signIn(claims: object = {}) {
  const user = await createUser(database.client)
  const session = await createSession(database.client, user)
  return { user, session, cookie: await mintCookie(claimsOf(user, session, { ...claims }), { secret: SECRET }) }
}

/** A view of users with these columns beside its key, as an option. */
async function showing(columns: string, from = 'users') {
  const view = `view_${randomUUID().replaceAll('-', '')}`
  await database.client.query(`CREATE VIEW ${view} AS SELECT tenant, user_id, user_type, ${columns} FROM ${from}`)
  return { tables: { users: view } }
}

const MODES: [string, AuthBridgeOptions][] = [
  ['prepared', {}],
  ['not prepared', { preparedStatements: false }],
  ['sharded', { sharded: true }],
]

describe('a column becomes JSON by its type', () => {
  test.each<[string, unknown]>([
    [`'a "text" \\ é 😀'::text`, 'a "text" \\ é 😀'],
    [`E'\\u0001\\n\\u2028'::text`, '\u0001\n\u2028'],
    [`'Pro "2"'::plan`, 'Pro "2"'],
    [`'Mixed'::citext`, 'Mixed'],
    [`'short'::char(9)`, 'short'],
    [`'short'::varchar(9)`, 'short'],
    [`'name'::name`, 'name'],
    [`'5B0B0B7E-3f0e-4c0e-8d66-111111111111'::uuid`, '5b0b0b7e-3f0e-4c0e-8d66-111111111111'],
    ['true', true],
    ['false::flag', false],
    ['7::int2', 7],
    ['-7::int4', -7],
    ['9007199254740991::int8', 9007199254740991],
    ['1.50::numeric', 1.5],
    [`'1e300'::float8`, 1e300],
    [`'NaN'::float8`, undefined],
    [`'-Infinity'::numeric`, undefined],
    [`'{ "b": [1, {"c d": null}], "a": "é" }'::json`, { b: [1, { 'c d': null }], a: 'é' }],
    [`'{ "b": [1, {"c d": null}], "a": "é" }'::jsonb`, { a: 'é', b: [1, { 'c d': null }] }],
    [`'null'::jsonb`, undefined],
    [`'"text"'::json`, 'text'],
    [`ARRAY['a', 'b "c"', NULL]`, ['a', 'b "c"', null]],
    [`'{}'::text[]`, []],
    [`'{solo}'::plan[]`, ['solo']],
    [`'2026-02-03 04:05:06.789+01'::timestamptz`, '2026-02-03T03:05:06.789Z'],
    [`'2026-02-03 04:05:06'::timestamp`, '2026-02-03T04:05:06.000Z'],
    [`'2026-02-03'::date`, '2026-02-03'],
    [`'infinity'::timestamptz`, undefined],
    ['NULL::text', undefined],
    ['NULL::jsonb', undefined],
    ['NULL::bool', undefined],
    ['NULL::text[]', undefined],
  ])('%s', async (sql, expected) => {
    const options = { ...(await showing(`${sql} AS role`)), extraClaims: ['role'], freshClaims: ['role'] }
    const { cookie } = await signIn({ role: 'of the token' })
    const other = await signIn({ role: 'of another token' })
    await database.client.query(`SET TIME ZONE 'Asia/Tokyo'`)
    for (const [mode, more] of MODES) {
      const bridge = connect({ ...options, ...more })
      const session = await bridge.getSession(cookie)
      expect((session.user as { role?: unknown } | undefined)?.role, mode).toEqual(expected)
      expect(JSON.parse(await bridge.getSessionJson(cookie)), mode).toEqual(session)
      const together = await Promise.all([cookie, other.cookie, cookie].map((header) => bridge.getSession(header)))
      expect(together.map(({ user }) => (user as { role?: unknown }).role)).toEqual([expected, expected, expected])
    }
  })
})

describe('documented fields', () => {
  const of = (fields: Record<string, string>) => ({
    columns: Object.entries(fields)
      .map(([name, sql]) => `${sql} AS "${name}"`)
      .join(', '),
    freshClaims: Object.keys(fields),
  })
  const OLD = {
    login_method: 'old',
    email: 'old',
    image: 'old',
    picture: 'of the token',
    plan: 'old',
    proToken: 'old',
    clientId: randomUUID(),
    addons: ['old'],
    trial_end: 'old',
    premium_trial_confirmed: true,
    subscription_status: 'active',
  }

  test('are those of the row, in their places', async () => {
    const id = randomUUID()
    const { columns, freshClaims } = of({
      login_method: `'saml'::text`,
      email: `'new@example.com'::text`,
      image: `'new'::text`,
      plan: `'solo'::plan`,
      proToken: `'new'::text`,
      clientId: `'${id}'::uuid`,
      addons: `ARRAY['a', 'b']`,
      trial_end: `'2026-02-03Z'::timestamptz`,
      premium_trial_confirmed: 'false',
      subscription_status: `'past_due'::text`,
    })
    const { cookie, user, session } = await signIn(OLD)
    const bridge = connect({ ...(await showing(columns)), freshClaims })
    const plain = connect({})
    const text = await bridge.getSessionJson(cookie)
    expect(JSON.parse(text)).toEqual({
      session_id: session.session_id,
      login_method: 'saml',
      user: {
        ...{
          id: user.user_id,
          email: 'new@example.com',
          name: '',
          username: '',
          image: 'new',
          proToken: 'new',
          plan: 'solo',
        },
        ...{ tenant: user.tenant, user_type: 'internal', clientId: id, addons: ['a', 'b'] },
        ...{ trial_end: '2026-02-03T00:00:00.000Z', solo_pro_trial_end: null, premium_trial_end: null },
        ...{ premium_trial_effective_date: null, premium_trial_confirmed: false, subscription_status: 'past_due' },
      },
    })
    expect(JSON.stringify(await bridge.getSession(cookie))).toBe(text)
    const keys = (json: string) => Object.keys(JSON.parse(json).user)
    expect(keys(text)).toEqual(keys(await plain.getSessionJson(cookie)))
    expect(await bridge.explainSession(cookie)).toMatchObject({ reason: 'live', freshClaims })
  })

  test('null is as an absent claim, and so is a value that the field can not have', async () => {
    const { cookie } = await signIn(OLD)
    const nothing = of({
      login_method: 'NULL::text',
      email: 'NULL::text',
      image: 'NULL::text',
      plan: 'NULL::text',
      clientId: `'no-uuid'::text`,
      addons: 'NULL::jsonb',
      trial_end: 'NULL::timestamptz',
      premium_trial_confirmed: 'NULL::bool',
      subscription_status: `'canceled'::text`,
    })
    const bridge = connect({ ...(await showing(nothing.columns)), freshClaims: nothing.freshClaims })
    const { login_method, user } = await bridge.getSession(cookie)
    expect(login_method).toBeUndefined()
    expect(user).toMatchObject({
      ...{ email: '', image: 'of the token', addons: [], trial_end: null },
      ...{ premium_trial_confirmed: false, subscription_status: null },
    })
    expect(user).not.toHaveProperty('plan')
    expect(user).not.toHaveProperty('clientId')
    expect(await bridge.explainSession(cookie)).toMatchObject({ freshClaims: ['clientId', 'subscription_status'] })
    const odd = connect({ ...(await showing(`'["a", 1]'::jsonb AS addons`)), freshClaims: ['addons'] })
    expect((await odd.getSession(cookie)).user).toMatchObject({ addons: [] })
  })

  test('user_type can be fresh where it is not compared', async () => {
    const options: AuthBridgeOptions = { userCheck: 'exists', freshClaims: ['user_type'] }
    const { cookie, user } = await signIn({ user_type: 'admin' })
    const bridge = connect(options)
    expect((await bridge.getSession(cookie)).user).toMatchObject({ user_type: 'internal' })
    await database.client.query(`UPDATE users SET user_type = 'client' WHERE user_id = $1`, [user.user_id])
    expect((await bridge.getSession(cookie)).user).toMatchObject({ user_type: 'client' })
  })
})

test('a change is seen by the next call, with no query more', async () => {
  await database.client.query('ALTER TABLE users ADD role text')
  const { cookie, user } = await signIn({ role: 'viewer' })
  const bridge = connect({ extraClaims: ['role'], freshClaims: ['role', 'email'] })
  for (const [place, role] of ['editor', 'admin', null].entries()) {
    await database.client.query('UPDATE users SET role = $2, email = $3 WHERE user_id = $1', [
      user.user_id,
      role,
      `${place}`,
    ])
    const { user: shown } = await bridge.getSession(cookie)
    expect(shown).toMatchObject({ email: `${place}`, ...(role && { role }) })
    expect(Object.hasOwn(shown ?? {}, 'role')).toBe(role !== null)
    expect(bridge.stats().batches).toMatchObject({ count: place + 1 })
  }
})

describe('what the database can not give rejects, with the name of the column', () => {
  const rejection = async (options: AuthBridgeOptions) => {
    const { cookie } = await signIn()
    const error = await connect(options)
      .getSession(cookie)
      .catch((cause) => cause)
    expect(error).toMatchObject({ code: 'ERR_AUTH_BRIDGE_DATABASE' })
    return error.message as string
  }

  test('a column that is not there', async () => {
    expect(await rejection({ freshClaims: ['plan'] })).toMatch(/column u\.plan does not exist \(SQLSTATE 42703\)/)
  })

  test.each([
    ['plan', '7', 'int4', 'a text, an enum, a uuid or a time'],
    ['plan', 'true', 'bool', 'a text, an enum, a uuid or a time'],
    ['plan', `'{}'::jsonb`, 'jsonb', 'a text, an enum, a uuid or a time'],
    ['addons', `'a'::text`, 'text', 'text[], json or jsonb'],
    ['addons', 'ARRAY[1]', 'int4[]', 'text[], json or jsonb'],
    ['premium_trial_confirmed', `'true'::text`, 'text', 'a boolean'],
    ['email', `'1 day'::interval`, 'interval', 'a text, an enum, a uuid or a time'],
    ['role', `'\\x00'::bytea`, 'bytea', 'a text, an enum, a uuid, a boolean, a number, a time, json, jsonb or text[]'],
    [
      'role',
      `ARRAY['{}'::jsonb]`,
      'jsonb[]',
      'a text, an enum, a uuid, a boolean, a number, a time, json, jsonb or text[]',
    ],
  ])('%s as %s', async (name, sql, type, expected) => {
    const options = { ...(await showing(`${sql} AS ${name}`)), extraClaims: ['role'], freshClaims: [name] }
    const message = await rejection(options)
    expect(message).toContain(`${options.tables.users}.${name} is ${type}, but the fresh claim must be ${expected}`)
  })

  test('values that are too long together', async () => {
    const claims = { extraClaims: ['one', 'two'], freshClaims: ['one', 'two'] }
    const of = (bytes: number) => showing(`'a'::text AS one, repeat('x', ${bytes})::text AS two`)
    const tooLong = { ...(await of(32 * 1024 - 4)), ...claims }
    expect(await rejection(tooLong)).toContain(
      `${tooLong.tables.users}.two makes the fresh claims longer than 32768 bytes`,
    )
    // What has ended has, whatever the user's row is like.
    const ended = await signIn()
    await database.client.query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [
      ended.session.session_id,
    ])
    expect(await connect(tooLong).getSession(ended.cookie)).toEqual({})
    const { cookie } = await signIn()
    const { user } = await connect({ ...(await of(32 * 1024 - 5)), ...claims }).getSession(cookie)
    expect((user as { two?: string } | undefined)?.two).toHaveLength(32 * 1024 - 5)
  })

  test('an error in the view concerns only the sessions whose rows have it', async () => {
    const [bad, ...good] = await Promise.all([signIn(), signIn(), signIn(), signIn()])
    const view = await showing(`1 / (CASE WHEN user_id = '${bad?.user.user_id}' THEN 0 ELSE 1 END) AS seats`)
    const bridge = connect({ ...view, extraClaims: ['seats'], freshClaims: ['seats'], maxConnections: 1 })
    const first = bridge.getSession(good[0]?.cookie)
    const answers = await Promise.allSettled([...good, bad].map((person) => bridge.getSession(person?.cookie)))
    expect((await first).user).toMatchObject({ seats: 1 })
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected'])
    expect(answers[3]).toMatchObject({
      reason: {
        code: 'ERR_AUTH_BRIDGE_DATABASE',
        message: expect.stringMatching(/division by zero \(SQLSTATE 22012\).*seats/),
      },
    })
  })

  test('a column whose type has changed is read anew by the next call', async () => {
    await database.client.query('ALTER TABLE users ADD score int4 DEFAULT 7')
    const { cookie } = await signIn()
    for (const [mode, options] of MODES) {
      const bridge = connect({ ...options, extraClaims: ['score'], freshClaims: ['score'] })
      const score = async () => ((await bridge.getSession(cookie)).user as { score?: unknown } | undefined)?.score
      expect(await score(), mode).toBe(7)
      await database.client.query(`ALTER TABLE users ALTER score DROP DEFAULT, ALTER score TYPE text USING 'seven'`)
      // The first call may still reject, and never gives a wrong value.
      await score().catch(({ code }) => expect(code).toBe('ERR_AUTH_BRIDGE_DATABASE'))
      expect(await score(), mode).toBe('seven')
      await database.client.query(`ALTER TABLE users ALTER score TYPE int4 USING 7`)
      await bridge.close()
    }
  })
})

test('a session that is not live shows nothing of its user', async () => {
  const [one, other] = [await signIn(), await signIn()]
  const bridge = connect({ freshClaims: ['email'] })
  const crossed = await mintCookie(claimsOf(one.user, { ...other.session, tenant: one.user.tenant } as never), {
    secret: SECRET,
  })
  await database.client.query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [one.session.session_id])
  for (const cookie of [one.cookie, crossed]) {
    expect(await bridge.getSession(cookie)).toEqual({})
    expect(await bridge.explainSession(cookie)).not.toHaveProperty('freshClaims')
  }
})

describe('userCheck', () => {
  test.each([
    ['type', ['live', 'user-type-changed', 'user-gone']],
    ['exists', ['live', 'live', 'user-gone']],
    ['none', ['live', 'live', 'live']],
  ] as const)('%s', async (userCheck, expected) => {
    const { cookie, user, session } = await signIn()
    const bridge = connect({ userCheck })
    const reasons = []
    for (const change of ['SELECT', `UPDATE users SET user_type = 'client'`, 'DELETE FROM users']) {
      await database.client.query(change === 'SELECT' ? change : `${change} WHERE user_id = '${user.user_id}'`)
      const { reason } = await bridge.explainSession(cookie)
      reasons.push(reason)
      expect((await bridge.getSession(cookie)).session_id).toBe(reason === 'live' ? session.session_id : undefined)
    }
    expect(reasons).toEqual(expected)
  })

  test('without it the users need not be there, nor be readable', async () => {
    const { cookie, session } = await signIn()
    const bridge = connect({ userCheck: 'none', tables: { users: 'gone.nowhere' } })
    expect((await bridge.getSession(cookie)).session_id).toBe(session.session_id)
    expect((await bridge.explainSession(cookie)).reason).toBe('live')
  })
})

test('extraClaims and expires: the object has them, and the explanation the names', async () => {
  const limits = { seats: 3, 'of team': [null, 'a/b', { deep: true }] }
  const { cookie } = await signIn({ limits, product_code: 'X', secretly: 'not passed on', role: null })
  const bridge = connect({ extraClaims: ['product_code', 'limits', 'role', 'absent'], expires: true })
  const text = await bridge.getSessionJson(cookie)
  const session = JSON.parse(text)
  expect(Object.entries(session.user).slice(-3)).toEqual([
    ['product_code', 'X'],
    ['limits', limits],
    ['role', null],
  ])
  expect(Object.keys(session)).toEqual(['session_id', 'login_method', 'user', 'expires'])
  expect(new Date(session.expires).toISOString()).toBe(session.expires)
  expect(Date.parse(session.expires) - Date.now()).toBeGreaterThan(29 * 24 * 3600e3)
  expect(JSON.stringify(await bridge.getSession(cookie))).toBe(text)
  expect(text).not.toContain('secretly')
  const explanation = await bridge.explainSession(cookie)
  expect(explanation).toMatchObject({ reason: 'live', extraClaims: ['product_code', 'limits', 'role'] })
  expect(JSON.stringify(explanation)).not.toContain('seats')
})
