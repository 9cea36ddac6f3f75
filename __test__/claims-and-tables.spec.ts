// docs/claims-and-tables.md: its SQL and its options do what the page says.

import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import type pg from 'pg'
import { afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { type AuthBridge, type AuthSessionUser, defaultBridge, getSession } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { writeApp } from './support/documented-app.js'
import { blocksOf, read, section } from './support/pages.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const PAGE = 'docs/claims-and-tables.md'
const FRESH = 'Fresh claims: what the database knows better than the token'
const OTHER_NAMES = 'Tables with other names; columns with other names by a view'
const USER_ROW = "What is asked of the user's row"

const makeBridge = useBridges()
beforeEach(() => void vi.stubEnv('AUTH_SECRET', SECRET).stubEnv('AUTH_URL', 'http://localhost:3000'))
afterEach(() => vi.unstubAllEnvs())

/** The code blocks of a section in one language. */
const blocks = (language: string, heading: string) =>
  blocksOf(section(PAGE, heading)).flatMap((block) => (block.language === language ? [block.text] : []))

/** Runs the SQL of a section. */
async function runSql(client: pg.Client, heading: string) {
  for (const text of blocks('sql', heading)) await client.query(text)
}

/** The bridge that a section makes. */
async function documentedBridge(databaseUrl: string, heading: string): Promise<AuthBridge> {
  vi.stubEnv('DATABASE_URL', databaseUrl)
  const [text = ''] = blocks('ts', heading)
  const app = writeApp({ 'bridge.ts': text })
  const { bridge } = await app.load('bridge.ts')
  onTestFinished(async () => {
    await bridge.close()
    await rm(app.folder, { recursive: true })
  })
  return bridge
}

const cookieOf = (claims: Record<string, unknown>) => mintCookie(claims, { secret: SECRET })

describe('the tables of schema.sql', () => {
  const { client, url } = useDatabase()
  let user: Awaited<ReturnType<typeof createUser>>
  let claims: Record<string, unknown>
  beforeEach(async () => {
    user = await createUser(client)
    claims = claimsOf(user, await createSession(client, user))
  })

  const OWN = { product_code: 'pro', limits: { seats: 3, list: [null, 1.5, {}] } }

  test('claims of the app', async () => {
    const bridge = await documentedBridge(url, 'Pass on claims of your app')
    const session = await bridge.getSession(await cookieOf({ ...claims, ...OWN, role: 'admin' }))
    expect(session).toMatchObject({ user: { id: user.user_id, ...OWN }, expires: expect.stringMatching(/\.000Z$/) })
    expect(session.user).not.toHaveProperty('role')
    const absent = await bridge.getSession(await cookieOf({ ...claims, limits: null }))
    expect(Object.entries(absent.user ?? {}).at(-1)).toEqual(['limits', null])
  })

  test('the options in AUTH_BRIDGE_OPTIONS', async () => {
    const [, value] = /^AUTH_BRIDGE_OPTIONS='(.+)'$/m.exec(read(PAGE)) ?? []
    vi.stubEnv('AUTH_BRIDGE_OPTIONS', value).stubEnv('DATABASE_URL', url)
    onTestFinished(() => defaultBridge().close())
    const session = await getSession(await cookieOf({ ...claims, ...OWN }))
    expect(session).toMatchObject({ user: OWN, expires: expect.any(String) })
  })

  test("what is asked of the user's row", async () => {
    const bridges = [
      makeBridge(url),
      await documentedBridge(url, USER_ROW),
      makeBridge(url, { userCheck: 'none' }),
      makeBridge(url, { userCheck: 'exists', freshClaims: ['user_type'] }),
    ]
    const id = user.user_id
    /** The user types in the sessions; null where there is no session. */
    const userTypes = async (claims: Record<string, unknown>) => {
      const cookie = await cookieOf(claims)
      const sessions = await Promise.all(bridges.map((bridge) => bridge.getSession(cookie)))
      return sessions.map(({ user }) => (user?.id === id ? user.user_type : null))
    }
    expect(await userTypes(claims)).toEqual(['internal', 'internal', 'internal', 'internal'])
    for (const user_type of [undefined, 'admin']) {
      expect(await userTypes({ ...claims, user_type })).toEqual([null, undefined, undefined, 'internal'])
    }
    await client.query(`UPDATE users SET user_type = 'client' WHERE user_id = $1`, [id])
    expect(await userTypes(claims)).toEqual([null, 'internal', 'internal', 'client'])
    await client.query('DELETE FROM users WHERE user_id = $1', [id])
    expect(await userTypes(claims)).toEqual([null, null, 'internal', null])
  })

  describe('fresh claims', () => {
    beforeAll(async () => {
      await client.query(`
        CREATE TABLE plans (tenant uuid PRIMARY KEY, plan text, subscription_status text);
        CREATE TABLE booked_addons (tenant uuid, addon text, PRIMARY KEY (tenant, addon))`)
      await runSql(client, FRESH)
    })

    test('of a view: the next call has what has changed', async () => {
      const bridge = await documentedBridge(url, FRESH)
      const cookie = await cookieOf({ ...claims, plan: 'old', addons: ['old'], subscription_status: 'unpaid' })
      const fresh = async () => {
        const { plan, addons, subscription_status } = (await bridge.getSession(cookie)).user ?? {}
        return { plan, addons, subscription_status }
      }
      expect(await fresh()).toEqual({ addons: [], subscription_status: null })
      await client.query('INSERT INTO plans VALUES ($1, $2, $3)', [user.tenant, 'solo', 'trialing'])
      expect(await fresh()).toEqual({ plan: 'solo', addons: [], subscription_status: 'trialing' })
      await client.query(`UPDATE plans SET plan = 'pro', subscription_status = 'canceled' WHERE tenant = $1`, [
        user.tenant,
      ])
      await client.query(`INSERT INTO booked_addons VALUES ($1, 'sms'), ($1, 'pdf')`, [user.tenant])
      expect(await fresh()).toEqual({ plan: 'pro', addons: ['pdf', 'sms'], subscription_status: null })
    })

    /** A type of the table, a value, and the claim. */
    const TEXTS: [type: string, value: string, claim: unknown][] = [
      ['text', 'a "b"', 'a "b"'],
      ['varchar', 'a', 'a'],
      ['char', 'a', 'a'],
      ['citext', 'Aa', 'Aa'],
      ['mood', 'happy', 'happy'],
      ['uuid', '6F1C2F3E-58A1-4A5E-9D0E-0B7C8D9E0F1A', '6f1c2f3e-58a1-4a5e-9d0e-0b7c8d9e0f1a'],
      ['timestamptz', '2026-01-02T05:04:05.678+02', '2026-01-02T03:04:05.678Z'],
      ['timestamp', '2026-01-02T03:04:05.678', '2026-01-02T03:04:05.678Z'],
      ['date', '2026-01-02', '2026-01-02'],
    ]
    const FLAGS: typeof TEXTS = [['boolean', 'true', true]]
    const LISTS: typeof TEXTS = [
      ['text[]', '{a,b}', ['a', 'b']],
      ['json', '["a"]', ['a']],
      ['jsonb', '["a"]', ['a']],
    ]
    const NUMBERS: typeof TEXTS = [
      ['smallint', '7', 7],
      ['integer', '7', 7],
      ['bigint', '7', 7],
      ['real', '1.5', 1.5],
      ['double precision', '1.5', 1.5],
      ['numeric', '1.50', 1.5],
    ]

    test('the table has these types', () => {
      const types = [...TEXTS, ...FLAGS, ...LISTS, ...NUMBERS].map(([type]) => type).filter((type) => type !== 'mood')
      const rows = section(PAGE, FRESH)
        .split('\n')
        .filter((line) => line.startsWith('| '))
      const named = rows.slice(2).flatMap((row) => [...(row.split(' | ')[1] ?? '').matchAll(/`([^`]+)`/g)])
      expect(named.map(([, type]) => type)).toEqual(types)
    })

    test.each([
      ...TEXTS.map((row) => ['trial_end', ...row] as const),
      ...FLAGS.map((row) => ['premium_trial_confirmed', ...row] as const),
      ...LISTS.map((row) => ['addons', ...row] as const),
      ...[...TEXTS, ...FLAGS, ...LISTS, ...NUMBERS].map((row) => ['anything', ...row] as const),
    ])('%s from a column of the type %s', async (name, type, value, claim) => {
      await client.query(`CREATE EXTENSION IF NOT EXISTS citext; DROP TYPE IF EXISTS mood CASCADE;
        CREATE TYPE mood AS ENUM ('happy'); ALTER TABLE users ADD COLUMN "${name}" ${type}`)
      onTestFinished(async () => void (await client.query(`ALTER TABLE users DROP COLUMN "${name}"`)))
      const extra = name === 'anything' ? { extraClaims: [name] } : {}
      const bridge = makeBridge(url, { freshClaims: [name], ...extra })
      const cookie = await cookieOf({ ...claims, [name]: 'old' })
      const read = async () => (await bridge.getSession(cookie)).user?.[name as keyof AuthSessionUser]
      expect(await read()).toEqual({ trial_end: null, premium_trial_confirmed: false, addons: [] }[name as string])
      await client.query(`UPDATE users SET "${name}" = $1 WHERE user_id = $2`, [value, user.user_id])
      expect(await read()).toEqual(claim)
    })

    test.each([
      ['a column that does not exist', 'plan', 'ADD COLUMN other text', 'u.plan does not exist'],
      ['another type', 'plan', 'ADD COLUMN plan integer', 'users.plan is int4, but the fresh claim must be a text'],
    ])('%s is an error that names it', async (_, name, change, message) => {
      await client.query(`ALTER TABLE users ${change}`)
      onTestFinished(async () => {
        await client.query('ALTER TABLE users DROP COLUMN IF EXISTS plan, DROP COLUMN IF EXISTS other')
      })
      await expect(makeBridge(url, { freshClaims: [name] }).getSession(await cookieOf(claims))).rejects.toMatchObject({
        code: 'ERR_AUTH_BRIDGE_DATABASE',
        message: expect.stringContaining(message),
      })
    })

    test('more than 32 KiB are an error that names the column', async () => {
      const bridge = makeBridge(url, { freshClaims: ['username'] })
      const cookie = await cookieOf(claims)
      const write = (length: number) =>
        client.query('UPDATE users SET username = $1 WHERE user_id = $2', ['x'.repeat(length), user.user_id])
      await write(32 * 1024 - 2)
      expect((await bridge.getSession(cookie)).user?.username).toHaveLength(32 * 1024 - 2)
      await write(32 * 1024 - 1)
      await expect(bridge.getSession(cookie)).rejects.toMatchObject({
        code: 'ERR_AUTH_BRIDGE_DATABASE',
        message: expect.stringContaining('users.username'),
      })
    })
  })
})

describe('one tenant, or none', () => {
  const HEADING = 'One tenant, or none'
  const { client, url } = useDatabase((client) => runSql(client, HEADING))

  test('no tenant is read', async () => {
    await client.query(`INSERT INTO users VALUES ('ada', 'client'); INSERT INTO sessions VALUES ('s1', 'ada')`)
    const bridge = await documentedBridge(url, HEADING)
    const claims = { session_id: 's1', id: 'ada', user_type: 'client' }
    for (const tenant of [undefined, 'acme']) {
      const session = await bridge.getSession(await cookieOf({ ...claims, tenant }))
      expect(session).toMatchObject({ session_id: 's1', user: { id: 'ada', user_type: 'client' } })
      expect(session.user).not.toHaveProperty('tenant')
    }
    expect(await bridge.getSession(await cookieOf({ ...claims, session_id: 's2' }))).toEqual({})
  })
})

describe('ids that are not UUIDs', () => {
  const HEADING = 'Ids that are not UUIDs'
  const { client, url } = useDatabase(async (client) => client.query('CREATE EXTENSION citext'))

  const UUID = randomUUID()
  /** A type of the list, ids that it holds with what they are in the session, and ids that it can't hold. */
  const TYPES: [type: string, ids: [claim: unknown, id: string][], unfit: unknown[]][] = [
    ['uuid', [[UUID, UUID]], ['7', 7]],
    [
      'text',
      [
        ['clh3k2', 'clh3k2'],
        [17, '17'],
      ],
      [],
    ],
    ['varchar', [['clh3k2', 'clh3k2']], []],
    ['char', [['c', 'c']], []],
    ['citext', [['Clh3k2', 'Clh3k2']], []],
    [
      'smallint',
      [
        [17, '17'],
        ['17', '17'],
      ],
      ['x', 1.5],
    ],
    [
      'integer',
      [
        [17, '17'],
        ['17', '17'],
      ],
      ['x', '7.0', UUID],
    ],
    ['bigint', [['9223372036854775807', '9223372036854775807']], ['9223372036854775808']],
  ]
  const UNFIT = ['', 'x'.repeat(1025), 'a\0b', '\ud83d', null, true, {}]

  test('the page lists these types', () => {
    const [, list = ''] = /whatever their columns are: (.+?), or a domain/s.exec(section(PAGE, HEADING)) ?? []
    expect([...list.matchAll(/`(\w+)`/g)].map(([, type]) => type)).toEqual(TYPES.map(([type]) => type))
  })

  test.each(TYPES)('%s', async (type, ids, unfit) => {
    await client.query(`
      CREATE TABLE "sessions of ${type}" (session_id ${type} PRIMARY KEY, user_id ${type}, expires_at timestamptz,
                                          revoked_at timestamptz)`)
    const tables = { sessions: `sessions of ${type}` }
    const bridge = makeBridge(url, { multiTenant: false, userCheck: 'none', tables })
    for (const [claim, id] of ids) {
      await client.query(`INSERT INTO "sessions of ${type}" VALUES ($1, $1) ON CONFLICT DO NOTHING`, [id])
      const session = await bridge.getSession(await cookieOf({ session_id: claim, id: claim }))
      expect(session).toMatchObject({ session_id: id, user: { id } })
    }
    const [[good] = []] = ids
    for (const claim of [...unfit, ...UNFIT]) {
      const cookie = await cookieOf({ session_id: claim, id: good })
      expect(await bridge.getSession(cookie)).toEqual({})
      expect(await bridge.explainSession(cookie)).toMatchObject({ reason: 'missing-claims', claims: ['session_id'] })
    }
  })

  test('before the first connection an id waits for the database, after that it is refused at once', async () => {
    await client.query(
      'CREATE TABLE sessions (session_id uuid PRIMARY KEY, user_id uuid, expires_at timestamptz, revoked_at timestamptz)',
    )
    const bridge = makeBridge(url, { multiTenant: false, userCheck: 'none' })
    const cookie = await cookieOf({ session_id: 'x', id: 'y' })
    const connects = () => bridge.stats().pool.connects
    expect(await bridge.getSession(cookie)).toEqual({})
    expect([connects(), bridge.stats().latency.count]).toEqual([1, 1])
    expect(await bridge.getSession(cookie)).toEqual({})
    expect([connects(), bridge.stats().latency.count]).toEqual([1, 1])
  })
})

describe('tables and columns with other names', () => {
  const { client, url } = useDatabase(async (client) => {
    await client.query(`
      CREATE SCHEMA auth;
      CREATE TABLE auth."Account" ("organizationId" uuid, id text, "isStaff" boolean, PRIMARY KEY ("organizationId", id));
      CREATE TABLE auth."LoginOfAccount" ("organizationId" uuid, id text, "accountId" text, "endsAt" timestamptz,
                                          "revokedAt" timestamptz, PRIMARY KEY ("organizationId", id))`)
    await runSql(client, OTHER_NAMES)
  })

  test('are read by views', async () => {
    const bridge = await documentedBridge(url, OTHER_NAMES)
    const claims = { tenant: randomUUID(), session_id: 's1', id: 'ada', user_type: 'internal' }
    await client.query('INSERT INTO auth."Account" VALUES ($1, $2, true)', [claims.tenant, 'ada'])
    await client.query('INSERT INTO auth."LoginOfAccount" VALUES ($1, $2, $3)', [claims.tenant, 's1', 'ada'])
    const cookie = await cookieOf(claims)
    expect(await bridge.getSession(cookie)).toMatchObject({ session_id: 's1', user: { id: 'ada' } })
    await client.query('UPDATE auth."LoginOfAccount" SET "revokedAt" = now()')
    expect(await bridge.explainSession(cookie)).toMatchObject({ reason: 'session-revoked' })
  })
})
