// The pages about moving from database sessions and from next-auth 4: their own code and options, with sessions that the real
// Auth.js has made. `moving-page.spec.ts` has the page about its endpoint.

import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import PostgresAdapter from '@auth/pg-adapter'
import { decode as decode4, encode as encode4 } from 'next-auth-4/jwt'
import { decode as decode5 } from 'next-auth-5/jwt'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type AuthBridge, defaultBridge } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { run } from './support/command-line.js'
import { useDatabase } from './support/database.js'
import { documented, writeApp } from './support/documented-app.js'
import { codeBlocks } from './support/pages.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

/** The values of `AUTH_BRIDGE_OPTIONS` on a page, in their order. */
function optionsOf(page: string) {
  const blocks = codeBlocks(page).filter(({ language }) => language === 'dotenv')
  return blocks.map(({ text }) => /^AUTH_BRIDGE_OPTIONS='(.+)'$/m.exec(text)?.[1] ?? '')
}

const open = useBridges()

describe('docs/moving-from-database-sessions.md', () => {
  const PAGE = 'docs/moving-from-database-sessions.md'
  const COOKIE = 'authjs.session-token'
  const { client, url } = useDatabase((client) =>
    client.query(`
      CREATE TABLE users (id serial PRIMARY KEY, name text, email text, "emailVerified" timestamptz, image text);
      CREATE TABLE sessions (id serial PRIMARY KEY, "userId" int, expires timestamptz, "sessionToken" text)`),
  )
  const pool = new pg.Pool({ connectionString: url })
  const adapter = PostgresAdapter(pool)
  let app: ReturnType<typeof writeApp>
  let takeOver: (request: unknown) => Promise<Response | undefined>
  let read: (cookie?: string) => ReturnType<AuthBridge['getSession']>
  let user: { id: string; email: string }

  beforeAll(async () => {
    const { stdout } = await run(['schema', '--for', 'auth-adapter'])
    await client.query(stdout)
    const [options = ''] = optionsOf(PAGE)
    vi.stubEnv('AUTH_BRIDGE_OPTIONS', options)
    vi.stubEnv('AUTH_SECRET', SECRET)
    vi.stubEnv('AUTH_URL', 'http://localhost:3000')
    vi.stubEnv('DATABASE_URL', url)
    app = writeApp({
      'lib/take-over.ts': documented(PAGE, 'lib/take-over.ts').replaceAll('@/', '../'),
      'lib/database.ts': `import pg from 'pg'\nexport const database = new pg.Pool({ connectionString: process.env.DATABASE_URL })`,
    })
    ;({ takeOver } = await app.load('lib/take-over.ts'))
    read = (cookie) => open(url, JSON.parse(options)).getSession(cookie)
  })
  afterAll(async () => {
    const { database } = await app.load('lib/database.ts')
    await Promise.all([defaultBridge().close(), database.end(), pool.end()])
    await rm(app.folder, { recursive: true })
    vi.unstubAllEnvs()
  })

  beforeEach(async () => {
    const newcomer = { id: '', name: 'Ada', email: `${randomUUID()}@example.com`, emailVerified: null, image: null }
    user = (await adapter.createUser?.(newcomer)) ?? newcomer
  })

  async function databaseSession(expires = new Date(Date.now() + 3_600_000)) {
    const sessionToken = randomUUID()
    await adapter.createSession?.({ sessionToken, userId: user.id, expires })
    return sessionToken
  }

  /** As Next.js hands it to a proxy. */
  function request(value: string | undefined, method = 'GET') {
    const headers = new Headers(value ? { cookie: `a=1; ${COOKIE}=${value}`, 'user-agent': 'curl/8' } : {})
    const cookies = { get: (name: string) => (name === COOKIE && value ? { name, value } : undefined) }
    return { method, url: 'http://localhost:3000/page?x=1', headers, cookies }
  }
  const cookieOf = (response: Response | undefined) =>
    response?.headers
      .getSetCookie()
      .map((line) => line.split(';')[0])
      .join('; ')
  const rows = async () =>
    (await client.query('SELECT login_method FROM authjs_bridge.sessions WHERE user_id = $1', [user.id])).rows

  test('whoever is signed in stays so, at the same page', async () => {
    const response = await takeOver(request(await databaseSession()))
    expect(response?.status).toBe(307)
    expect(response?.headers.get('location')).toBe('http://localhost:3000/page?x=1')
    expect(response?.headers.get('cache-control')).toBe('private, no-store')
    const session = await read(cookieOf(response))
    expect(session.user).toMatchObject({ id: String(user.id), email: user.email, name: 'Ada' })
    expect(await rows()).toEqual([{ login_method: 'database-session' }])
  })

  test('requests that come at once all stay signed in, and a copy of the old cookie is worth nothing afterwards', async () => {
    const key = await databaseSession()
    for (const response of await Promise.all([takeOver(request(key)), takeOver(request(key))])) {
      expect((await read(cookieOf(response))).user?.email).toBe(user.email)
    }
    const { rows } = await client.query(
      `SELECT expires BETWEEN now() AND now() + interval '1 minute' AS soon FROM sessions WHERE "sessionToken" = $1`,
      [key],
    )
    expect(rows).toEqual([{ soon: true }])
  })

  test.each<[string, () => Promise<ReturnType<typeof request>>]>([
    ['a database session that has expired', async () => request(await databaseSession(new Date(Date.now() - 1000)))],
    ['an unknown key', async () => request(randomUUID())],
    ['a token', async () => request('a..b.c.d')],
    ['no cookie', async () => request(undefined)],
    ['another method', async () => request(await databaseSession(), 'POST')],
  ])('%s goes on as it is', async (_, make) => {
    expect(await takeOver(await make())).toBeUndefined()
    expect(await rows()).toEqual([])
  })
})

describe('docs/moving-from-next-auth-4.md', () => {
  const V5 = '__Secure-authjs.session-token'
  const V4 = '__Secure-next-auth.session-token'
  const { client, url } = useDatabase()
  const [upgrade = '', back = ''] = optionsOf('docs/moving-from-next-auth-4.md')

  test('the upgrade and the way back move the cookies, and the session stays', async () => {
    const user = await createUser(client)
    const session = await createSession(client, user)
    const claims = claimsOf(user, session)
    const old = `${V4}=${await encode4({ token: claims, secret: SECRET })}`

    const there = await open(url, JSON.parse(upgrade)).refreshSession(old)
    expect(there.session.session_id).toBe(session.session_id)
    const [, token5 = ''] = there.cookieHeader.split('=')
    expect(there.cookieHeader).toBe(`${V5}=${token5}`)
    expect(await decode5({ token: token5, secret: SECRET, salt: V5 })).toMatchObject(claims)

    const again = await open(url, JSON.parse(back)).refreshSession(there.cookieHeader)
    expect(again.session.session_id).toBe(session.session_id)
    const [, token4 = ''] = again.cookieHeader.split('=')
    expect(again.cookieHeader).toBe(`${V4}=${token4}`)
    expect(await decode4({ token: token4, secret: SECRET })).toMatchObject(claims)
  })
})
