// The page about moving, followed with the real Auth.js and a real database: whoever follows it signs nobody out, and
// lets nobody in whose session was revoked.

import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { encode } from 'next-auth-4/jwt'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { AuthBridge, defaultBridge } from '../index.js'
import { SECRET } from './support/bridges.js'
import { COOKIE_NAME, mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { browse, documented, writeApp } from './support/documented-app.js'
import { codeBlocks } from './support/pages.js'
import { startProxy } from './support/proxy.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const MOVING = 'docs/moving-from-authjs.md'

/** Tables under other names, and the views that the page makes of them. */
async function tablesOfTheirOwn(client: pg.Client) {
  await client.query(`
    CREATE TABLE accounts (organization_id uuid, id uuid, is_staff boolean, email text, PRIMARY KEY (organization_id, id));
    CREATE TABLE logins (organization_id uuid, id uuid, account_id uuid, method text, ends_at timestamptz,
                         revoked_at timestamptz, revoked_reason text, PRIMARY KEY (organization_id, id))`)
  await client.query(sqlWith('FROM logins'))
}

/** The block of SQL that has these words. */
function sqlWith(words: string) {
  const blocks = codeBlocks(MOVING).filter(({ language, text }) => language === 'sql' && text.includes(words))
  expect(blocks).toHaveLength(1)
  return blocks[0]?.text ?? ''
}

async function addUser(client: pg.Client) {
  const email = `${randomUUID()}@example.com`
  const user = { tenant: randomUUID(), user_id: randomUUID(), user_type: 'internal' as const, email }
  await client.query('INSERT INTO accounts VALUES ($1, $2, true, $3)', [user.tenant, user.user_id, email])
  return user
}

// Their listeners tell of each connection that breaks.
beforeAll(() => void vi.spyOn(console, 'error').mockImplementation(() => {}))

describe(MOVING, () => {
  const { client, url } = useDatabase(tablesOfTheirOwn)
  const server = Number(new URL(url).port)
  let bridge: AuthBridge
  beforeAll(() => {
    bridge = new AuthBridge({ secret: SECRET, databaseUrl: url, secureCookie: false })
  })
  afterAll(() => bridge.close())

  // Each test has its own app, since connections that break in one must not be in the pool of the next.
  let proxy: Awaited<ReturnType<typeof startProxy>>
  let app: ReturnType<typeof writeApp>
  let user: Awaited<ReturnType<typeof createUser>>
  let browser: ReturnType<typeof browse>
  beforeEach(async () => {
    proxy = await startProxy(server)
    const proxied = new URL(url)
    proxied.port = String(proxy.port)
    vi.stubEnv('DATABASE_URL', proxied.href)
    vi.stubEnv('AUTH_SECRET', SECRET)
    vi.stubEnv('AUTH_URL', 'http://localhost:3000')
    const text = documented(MOVING, 'auth.ts').replace(
      /export const \{ (.+) \} = NextAuth/,
      'export const { $1, config } = NextAuth',
    )
    app = writeApp({ 'auth.ts': text })
    const { config } = await app.load('auth.ts')
    user = await addUser(client)
    browser = browse(config, { ...user, id: user.user_id })
  })
  afterEach(async () => {
    await defaultBridge().close()
    vi.unstubAllEnvs()
    proxy.close()
    await rm(app.folder, { recursive: true })
  })

  const live = async () => (await bridge.getSession(browser.cookie())).session_id !== undefined
  const rows = async () => (await client.query('SELECT * FROM sessions WHERE user_id = $1', [user.user_id])).rows
  const revoke = () => client.query('UPDATE sessions SET revoked_at = now() WHERE user_id = $1', [user.user_id])

  /** From here on nobody reaches the database but the bridge and the test. */
  const outage = () => proxy.close()
  const mend = async () => {
    proxy = await startProxy(server, proxy.port)
  }

  /** A token from before the app had sessions. */
  async function holdOldToken() {
    const [, token = ''] = (await mintCookie({ sub: '1', email: user.email }, { secret: SECRET })).split('=')
    browser.hold(token)
  }

  test.each(['signIn', 'signUp'] as const)('%s leads to a session that lives, with one row', async (how) => {
    await browser[how]()
    expect(await live()).toBe(true)
    expect(await rows()).toHaveLength(1)
    expect((await browser.read()).user.email).toBe(user.email)
    expect(await rows()).toHaveLength(1)
  })

  test('a sign-out ends the row, so that a copy of the cookie is worth nothing', async () => {
    await browser.signIn()
    const copy = browser.cookie()
    await browser.signOut()
    expect(browser.cookie()).toBeUndefined()
    expect(await bridge.explainSession(copy)).toMatchObject({ reason: 'session-revoked' })
  })

  test.each(['read', 'update'] as const)('%s in an outage signs nobody out', async (how) => {
    await browser.signIn()
    outage()
    expect((await browser[how]()).user.email).toBe(user.email)
    expect(browser.cookie()).toBeDefined()
    expect(await live()).toBe(true)
  })

  test.each(['read', 'update'] as const)('%s of a token without a session signs nobody out', async (how) => {
    await holdOldToken()
    expect((await browser[how]()).user.email).toBe(user.email)
    expect(browser.cookie()).toBeDefined()
    expect(await live()).toBe(true)
  })

  test('a session whose row has no end signs nobody out', async () => {
    await browser.signIn()
    await client.query('UPDATE sessions SET expires_at = NULL WHERE user_id = $1', [user.user_id])
    expect((await browser.update()).user.email).toBe(user.email)
    expect(await live()).toBe(true)
  })

  describe('who is signed in already', () => {
    test('gets one row, also if many requests come at once', async () => {
      await holdOldToken()
      const answers = await browser.readAtOnce(6)
      expect(await rows()).toHaveLength(1)
      for (const { set } of answers) {
        const session = await bridge.getSession(`${COOKIE_NAME}=${set}`)
        expect(session).toMatchObject({ session_id: (await rows())[0].session_id, user: { id: user.user_id } })
      }
    })

    test('gets it after an outage, stays signed in meanwhile, and is signed out as everybody else', async () => {
      await holdOldToken()
      outage()
      expect((await browser.read()).user.email).toBe(user.email)
      expect(await live()).toBe(false)
      await mend()
      await browser.read()
      expect(await live()).toBe(true)
      await revoke()
      await browser.read()
      expect(await live()).toBe(false)
    })

    test('keeps a token whose user is not found, or not the only one of the address', async () => {
      await client.query('INSERT INTO accounts VALUES ($1, $2, false, $3)', [randomUUID(), randomUUID(), user.email])
      await holdOldToken()
      expect((await browser.read()).user.email).toBe(user.email)
      expect(await rows()).toEqual([])
    })
  })
})

describe('users, but no sessions yet', () => {
  const { client, url } = useDatabase(async (client) => {
    await client.query('CREATE TABLE accounts (id text PRIMARY KEY, email text)')
    await client.query(sqlWith('REFERENCES accounts'))
  })

  test('the SQL and the options of the page start, read, list and end sessions', async () => {
    await client.query(`INSERT INTO accounts VALUES ('usr_ada', 'ada@example.com')`)
    const [, json = '{}'] =
      codeBlocks(MOVING)
        .filter(({ language }) => language === 'dotenv')
        .map(({ text }) => text.match(/^AUTH_BRIDGE_OPTIONS='(\{ "multiTenant".*\})'$/m) ?? [])
        .find(([all]) => all) ?? []
    const options = JSON.parse(json)
    expect(options).toEqual({ multiTenant: false, userCheck: 'exists' })
    const bridge = new AuthBridge({ secret: SECRET, databaseUrl: url, secureCookie: false, ...options })
    onTestFinished(() => bridge.close())
    const owner = { userId: 'usr_ada' } as never
    const userAgent = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
    const { sessionId } = await bridge.createSession(Object.assign({ userAgent }, owner))
    const cookie = await mintCookie({ sub: 'usr_ada', session_id: sessionId }, { secret: SECRET })
    expect(await bridge.getSession(cookie)).toMatchObject({ session_id: sessionId, user: { id: 'usr_ada' } })
    expect(await bridge.listSessions(owner)).toMatchObject([{ sessionId, deviceName: 'Firefox on Linux' }])
    expect(await bridge.revokeSessions(owner)).toBe(1)
    expect(await bridge.getSession(cookie)).toEqual({})
  })
})

describe('lib/old-cookie.ts of docs/nextjs.md', () => {
  const OLD = '__Secure-next-auth.session-token'
  const { client, url } = useDatabase()

  test('ends the session under the old name, and deletes its cookies as browsers take it', async () => {
    vi.stubEnv('DATABASE_URL', url)
    vi.stubEnv('AUTH_SECRET', SECRET)
    onTestFinished(() => void vi.unstubAllEnvs())
    const text = documented('docs/nextjs.md', 'lib/old-cookie.ts')
    const app = writeApp({ 'lib/old-cookie.ts': `${text}\nexport { bridge }` })
    onTestFinished(() => rm(app.folder, { recursive: true }))
    const { endOldSession, bridge } = await app.load('lib/old-cookie.ts')
    onTestFinished(() => bridge.close())
    const { jar } = await app.load('next-headers.ts')

    const user = await createUser(client)
    const session = await createSession(client, user)
    const token = await encode({ token: claimsOf(user, session), secret: SECRET })
    const chunks = { [`${OLD}.0`]: token.slice(0, 100), [`${OLD}.1`]: token.slice(100) }
    for (const [name, value] of Object.entries({ theme: 'dark', ...chunks })) jar.set(name, { value })
    await endOldSession()

    const { rows } = await client.query('SELECT revoked_at FROM sessions')
    expect(rows).toEqual([{ revoked_at: expect.any(Date) }])
    const deleted = { value: '', options: { maxAge: 0, path: '/', secure: true } }
    expect(Object.fromEntries(jar)).toEqual({ theme: { value: 'dark' }, [`${OLD}.0`]: deleted, [`${OLD}.1`]: deleted })
  })
})
