// `withSessions` in the real next-auth 5 and 4: whatever they do is in the rows. With Next.js: `__test__/next-modes/next-auth.spec.ts`.

import { randomUUID } from 'node:crypto'
import { inspect } from 'node:util'
import PostgresAdapter from '@auth/pg-adapter'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { AuthBridge, AuthBridgeOptions } from '../index.js'
import { type WithSessionsOptions, withSessions } from '../next-auth/index.js'
import { type Config, startAuthServer } from './support/auth-server.js'
import { SECRET, useBridges } from './support/bridges.js'
import { openBrowser } from './support/browse-auth.js'
import { useDatabase } from './support/database.js'
import { CLIENT, startOidc } from './support/oidc.js'
import { startProxy } from './support/proxy.js'
import { claimsOf, createSession, createTables, createUser } from './support/tenants.mjs'

const V5 = 'authjs.session-token'
const V4 = 'next-auth.session-token'
const CHROME =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36'
const DAY = 86_400

/** Tables of `@auth/pg-adapter`, in a schema of their own. */
const ADAPTER = `
  CREATE SCHEMA adapter;
  CREATE TABLE adapter.verification_token (identifier text, expires timestamptz, token text, PRIMARY KEY (identifier, token));
  CREATE TABLE adapter.accounts (id serial PRIMARY KEY, "userId" int, type text, provider text, "providerAccountId" text,
    refresh_token text, access_token text, expires_at bigint, id_token text, scope text, session_state text, token_type text);
  CREATE TABLE adapter.users (id serial PRIMARY KEY, name text, email text, "emailVerified" timestamptz, image text)`

const { client, url } = useDatabase(async (client) => {
  await createTables(client)
  await client.query(ADAPTER)
})
const open = useBridges()
const pool = new pg.Pool({ connectionString: url, options: '-c search_path=adapter' })

let server: Awaited<ReturnType<typeof startAuthServer>>
let oidc: Awaited<ReturnType<typeof startOidc>>
let user: Awaited<ReturnType<typeof createUser>>
beforeAll(async () => {
  server = await startAuthServer()
  oidc = await startOidc(() => ({ sub: `corp|${user.user_id}`, email: user.email, name: 'Ada' }))
  vi.stubEnv('NEXTAUTH_URL', server.origin)
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await pool.end()
  await Promise.all([server.stop(), oidc.stop()])
})
afterEach(() => vi.restoreAllMocks())

type Row = Record<string, unknown> & { session_id: string; revoked_at: Date | null; expires_at: Date }
const rows = async (): Promise<Row[]> =>
  (await client.query('SELECT * FROM sessions WHERE user_id = $1 ORDER BY created_at', [user.user_id])).rows
const liveRows = async () => (await rows()).filter((row) => row.revoked_at === null)
const set = (change: string) => client.query(`UPDATE sessions SET ${change} WHERE user_id = $1`, [user.user_id])

describe.each([5, 4] as const)('next-auth %i', (version) => {
  const [own, other] = version === 5 ? [V5, V4] : [V4, V5]
  const nobody = version === 5 ? null : {}
  let bridge: AuthBridge
  let links: string[]
  let errors: unknown[]
  let browser: ReturnType<typeof openBrowser>

  const connect = (options: AuthBridgeOptions = {}, databaseUrl = url) =>
    open(databaseUrl, { cookieName: [own, other], updateAge: 0, ...options })

  beforeEach(async () => {
    user = await createUser(client, { email: `${randomUUID()}@example.com` })
    bridge = connect()
    links = []
    errors = []
    browser = openBrowser(server.origin, { 'user-agent': CHROME })
    use()
  })

  const claims = () => ({ tenant: user.tenant, id: user.user_id, user_type: user.user_type })

  /** The claims by the address: for providers that know no tenant. */
  async function identify({ token }: { token: { email?: string | null } }) {
    const { rows } = await pool.query('SELECT tenant, user_id AS id, user_type FROM public.users WHERE email = $1', [
      token.email,
    ])
    return rows[0]
  }

  function configOf(more: Config = {}): Config {
    return {
      providers: [
        {
          id: 'credentials',
          name: 'Password',
          type: 'credentials',
          credentials: {},
          authorize: () => ({ ...claims(), email: user.email }),
        },
        version === 5
          ? { id: 'corp', name: 'Corp', type: 'oidc', issuer: oidc.issuer, ...CLIENT, checks: ['pkce', 'state'] }
          : {
              id: 'corp',
              name: 'Corp',
              type: 'oauth',
              wellKnown: `${oidc.issuer}/.well-known/openid-configuration`,
              idToken: true,
              ...CLIENT,
              checks: ['pkce', 'state'],
              profile: ({ sub, name, email }: Record<string, string>) => ({ id: sub, name, email }),
            },
      ],
      ...(version === 5 && { trustHost: true }),
      logger: {
        debug() {},
        warn() {},
        error: (...error: unknown[]) => void errors.push(...error),
      },
      ...more,
    }
  }

  /** What an app has that keeps its users in its own database. */
  const adapted = () => {
    const email = {
      id: 'email',
      name: 'E-mail',
      type: 'email',
      maxAge: 600,
      sendVerificationRequest: ({ url }: { url: string }) => void links.push(url),
    }
    return { adapter: PostgresAdapter(pool), providers: [...(configOf().providers as object[]), email] }
  }

  /** Serves an app. */
  function use(more: Config = {}, options: WithSessionsOptions = {}) {
    const wrap = (config: Config, api: object) =>
      withSessions(config, { bridge, identify, ...(api as WithSessionsOptions), ...options })
    server.use({ version, config: configOf(more), wrap })
  }

  /** Serves the same app as it was before it had sessions. */
  function useBefore(more: Config = {}) {
    const cookies = {
      sessionToken: { name: own, options: { httpOnly: true, sameSite: 'lax', path: '/', secure: false } },
    }
    const before = { secret: SECRET, session: { strategy: 'jwt' }, cookies, ...more }
    server.use({ version, config: configOf(before), wrap: (config) => config })
  }

  const current = () => bridge.getSession(browser.header())
  const messages = () => inspect(errors, { depth: 6 })

  async function followLink() {
    await browser.askForLink(user.email)
    return browser.send(links.pop() ?? '')
  }

  /** A way to sign in: its name, the provider, whether users are kept, the first trigger. */
  type Way = [name: string, method: string, signIn: () => Promise<unknown>, isAdapted: boolean, trigger: string]

  async function startsSessions(...[, method, signIn, isAdapted, trigger]: Way) {
    const triggers: unknown[] = []
    const jwt = ({ token, user, trigger }: { token: object; user?: object; trigger?: string }) => {
      if (user) triggers.push(trigger)
      return token
    }
    use({ ...(isAdapted && adapted()), callbacks: { jwt }, session: { strategy: 'jwt' } })
    await signIn()
    const started = await rows()
    expect(started).toMatchObject([
      {
        tenant: user.tenant,
        login_method: method,
        revoked_at: null,
        user_agent: CHROME,
        device_name: 'Chrome on macOS',
        device_type: 'desktop',
        ip_address: null,
      },
    ])
    const [first] = started
    expect(Math.round((Number(first?.expires_at) - Date.now()) / 1000)).toBeCloseTo(30 * DAY, -1)
    expect(await current()).toMatchObject({
      session_id: first?.session_id,
      login_method: method,
      user: { id: user.user_id, tenant: user.tenant, user_type: 'internal', email: user.email },
    })

    await signIn()
    expect(await rows()).toMatchObject([
      { session_id: first?.session_id, revoked_at: expect.any(Date) },
      { session_id: (await current()).session_id, revoked_at: null },
    ])
    expect(triggers).toEqual([trigger, 'signIn'])
  }

  describe('a sign-in', () => {
    test.each<Way>([
      ['a password', 'credentials', () => browser.signIn(), false, 'signIn'],
      ['OpenID Connect, without an adapter', 'corp', () => browser.signInBy('corp'), false, 'signIn'],
    ])('by %s starts a session, the first time and later', startsSessions)

    test('of whom nothing is known fails, and names what is missing', async () => {
      const none: WithSessionsOptions['identify'] = () => null
      use({}, { identify: none })
      await browser.signIn().catch(() => {})
      expect(await rows()).toEqual([])
      expect(browser.header()).not.toContain(own)
      if (version === 5) {
        expect(messages()).toContain('ERR_AUTH_BRIDGE_CONFIG')
        expect(messages()).toContain('tenant, user_type: are missing at the sign-in')
      } else {
        expect(await (await browser.signIn()).text()).toContain('tenant, user_type: are missing at the sign-in')
      }
    })

    test('gets the key from the token of the callback jwt, before identify is asked', async () => {
      const identify = vi.fn()
      use(
        { callbacks: { jwt: ({ token }: { token: object }) => ({ ...token, ...claims(), login_method: 'sso' }) } },
        { identify },
      )
      await browser.signIn()
      expect(await rows()).toMatchObject([{ tenant: user.tenant, user_id: user.user_id, login_method: 'sso' }])
      expect(identify).not.toHaveBeenCalled()
    })

    test('identify gets the user, the account, the profile and the token', async () => {
      const asked = vi.fn(identify)
      use({}, { identify: asked as never })
      await browser.signInBy('corp')
      expect(asked).toHaveBeenCalledTimes(1)
      expect(asked.mock.calls[0]?.[0]).toMatchObject({
        user: { email: user.email },
        account: { provider: 'corp' },
        profile: { sub: `corp|${user.user_id}` },
        token: { email: user.email },
      })
    })

    test('of an app that starts sessions itself gets no second row', async () => {
      await browser.signIn()
      const jwt = async ({ token, user: isSignIn }: { token: object; user?: object }) => {
        if (!isSignIn) return token
        const { sessionId } = await bridge.createSession({ tenant: user.tenant, userId: user.user_id })
        return { ...token, ...claims(), session_id: sessionId }
      }
      use({ callbacks: { jwt } })
      await browser.signIn()
      expect(await rows()).toHaveLength(2)
      expect(await liveRows()).toMatchObject([{ session_id: (await current()).session_id }])
    })

    const ADDRESSES: [header: string | undefined, recorded: string | null][] = [
      ['192.0.2.7', '192.0.2.7'],
      ['198.51.100.1, 2001:db8::7', '2001:db8::7'],
      ['unknown', null],
      ['192.0.2.7:443', null],
      [undefined, null],
    ]
    test.each(ADDRESSES)('behind a proxy that sends %s records %s', async (header, expected) => {
      use({}, { trustedProxyHeader: 'X-Real-IP' })
      browser = openBrowser(server.origin, header ? { 'x-real-ip': header } : {})
      await browser.signIn()
      expect((await rows())[0]?.ip_address).toBe(expected)
    })

    test('beyond maxSessions ends the session of the device that was not used for longest', async () => {
      use({}, { maxSessions: 2 })
      const others = [browser, openBrowser(server.origin), openBrowser(server.origin)]
      for (const other of others) await other.signIn()
      expect(await liveRows()).toHaveLength(2)
      expect((await rows())[0]?.revoked_reason).toBe('max_sessions')
      // In place of its own session: the other device stays signed in.
      await others[2]?.signIn()
      expect(await others[1]?.read()).toMatchObject({ user: { email: user.email } })
      expect((await rows()).map(({ revoked_reason }) => revoked_reason)).toEqual([
        'max_sessions',
        null,
        'signed_in_again',
        null,
      ])
      expect(await liveRows()).toHaveLength(2)
    })

    test('beyond maxSessions is refused, if that is wanted, but for a browser that has one of them', async () => {
      use({}, { maxSessions: 1, whenFull: 'refuse' })
      await browser.signIn()
      await openBrowser(server.origin)
        .signIn()
        .catch(() => {})
      expect(await rows()).toHaveLength(1)
      await browser.signIn()
      expect(await liveRows()).toMatchObject([{ session_id: (await current()).session_id }])
      expect(await rows()).toHaveLength(2)
    })

    test('ends every session that the cookies name', async () => {
      const [a, b] = [await createSession(client, user), await createSession(client, user)]
      await holdOther(a)
      browser.jar.set(`${own}=${(await mintOwn(b)).split('=')[1]}; Path=/`, server.origin)
      await browser.signIn()
      expect(await liveRows()).toMatchObject([{ session_id: (await current()).session_id }])
      expect(await rows()).toHaveLength(3)
    })
  })

  /** A session of the other version of next-auth. */
  async function holdOther(session: Parameters<typeof claimsOf>[1]) {
    const { setCookie } = await connect({ cookieName: other }).sealSession(claimsOf(user, session))
    for (const line of setCookie) browser.jar.set(line, server.origin)
  }

  const mintOwn = async (session: Parameters<typeof claimsOf>[1]) =>
    (await connect({ cookieName: own }).sealSession(claimsOf(user, session))).cookieHeader

  describe('a sign-out', () => {
    test('ends and deletes every session that the cookies name, of the other version, too', async () => {
      await holdOther(await createSession(client, user))
      await browser.signIn()
      await holdOther(await createSession(client, user))
      const copy = browser.header()
      expect(copy).toContain(other)
      expect(await liveRows()).toHaveLength(2)
      await browser.signOut()
      expect(await liveRows()).toEqual([])
      expect((await rows()).filter((row) => row.revoked_reason === 'signed_out')).toHaveLength(2)
      expect(browser.header()).not.toMatch(/session-token/)
      expect(await bridge.getSession(copy)).toEqual({})
    })

    test('that fails is tried once more', async () => {
      await browser.signIn()
      await client.query(`
        CREATE SEQUENCE attempts;
        CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS
          'BEGIN IF nextval(''attempts'') = 1 THEN RAISE EXCEPTION ''once''; END IF; RETURN NEW; END';
        CREATE TRIGGER fail_once BEFORE UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION fail_once()`)
      onTestFinished(async () => {
        await client.query('DROP TRIGGER fail_once ON sessions; DROP FUNCTION fail_once; DROP SEQUENCE attempts')
      })
      await browser.signOut()
      expect(await liveRows()).toEqual([])
      expect(bridge.stats().failedSignOuts).toBe(0)
    })
  })

  describe('what Auth.js issues anew', () => {
    test('is slid when it is due', async () => {
      await browser.signIn()
      await set("expires_at = now() + interval '29 days', last_activity_at = now() - interval '1 day'")
      await browser.read()
      const [row] = await rows()
      expect(Math.round((Number(row?.expires_at) - Date.now()) / 1000)).toBeCloseTo(30 * DAY, -2)
      expect(Date.now() - Number(row?.last_activity_at)).toBeLessThan(60_000)
    })

    test('is only read when it is not due', async () => {
      bridge = connect({ updateAge: 300 })
      use()
      await browser.signIn()
      const [before] = await rows()
      await browser.read()
      await browser.update({})
      expect(await rows()).toEqual([before])
      expect((await current()).session_id).toBe(before?.session_id)
    })

    const READS: ['read' | 'update', number][] = [
      ['read', 0],
      ['update', 0],
      ['read', 300],
      ['update', 300],
    ]
    test.each(READS)('%s gives null when the row was revoked, with an updateAge of %i', async (how, updateAge) => {
      bridge = connect({ updateAge })
      use()
      await browser.signIn()
      await set('revoked_at = now()')
      const [before] = await rows()
      expect(await (how === 'read' ? browser.read() : browser.update({}))).toEqual(nobody)
      expect(browser.header()).not.toContain(own)
      expect(await rows()).toEqual([before])
    })

    test.each([
      ['expired', "UPDATE sessions SET expires_at = now() - interval '1 s' WHERE user_id = $1"],
      ['whose user is gone', 'DELETE FROM users WHERE user_id = $1'],
      ['whose user has another type', "UPDATE users SET user_type = 'client' WHERE user_id = $1"],
    ])('gives null for a session %s', async (_, statement) => {
      await browser.signIn()
      await client.query(statement, [user.user_id])
      expect(await browser.read()).toEqual(nobody)
    })

    test('keeps the protected claims, whatever update(data) brings', async () => {
      const jwt = ({ token, trigger, session }: { token: object; trigger?: string; session?: object }) =>
        trigger === 'update' ? Object.assign(token, session) : token
      use({ callbacks: { jwt } })
      await browser.signIn()
      const before = await current()
      const evil = {
        session_id: randomUUID(),
        tenant: randomUUID(),
        id: randomUUID(),
        sub: 'x',
        user_type: 'client',
        iss: 'x',
        rolled_at: 1,
      }
      expect(await browser.update({ ...evil, plan: 'pro' })).toEqual({
        ...before,
        user: { ...before.user, plan: 'pro' },
      })
      expect(await current()).toEqual({ ...before, user: { ...before.user, plan: 'pro' } })
    })

    test('keeps the session of an app whose callback makes a new token', async () => {
      use({
        callbacks: {
          jwt: ({ token }: { token: Record<string, unknown> }) => ({
            sub: token.sub,
            email: token.email,
            id: token.id,
          }),
        },
      })
      await browser.signIn()
      const before = await current()
      await browser.read()
      expect((await current()).session_id).toBe(before.session_id)
    })

    test('has fresh claims', async () => {
      await client.query('ALTER TABLE users ADD COLUMN IF NOT EXISTS plan text')
      bridge = connect({ freshClaims: ['plan'] })
      use()
      await browser.signIn()
      await client.query("UPDATE users SET plan = 'pro' WHERE user_id = $1", [user.user_id])
      expect((await browser.read()).user.plan).toBe('pro')
      expect((await connect().getSession(browser.header())).user?.plan).toBe('pro')
    })
  })

  describe('the session', () => {
    test.each<[string, AuthBridgeOptions]>([
      ['is that of the bridge', {}],
      ['with expires', { expires: true }],
    ])('%s', async (_, options) => {
      bridge = connect(options)
      use()
      await browser.signIn()
      const read = await browser.read()
      const session: object = await current()
      const times = 'expires' in session ? { expires: expect.any(String) } : {}
      expect(read).toEqual({ ...session, ...times })
      expect(Object.keys(read)).toEqual(Object.keys(session))
      if (read.expires) expect((Date.parse(read.expires) - Date.now()) / 1000).toBeCloseTo(30 * DAY, -1)
      expect(await browser.update({})).toEqual({ ...session, ...times })
    })

    test('is that of the app if it has a callback', async () => {
      const session = ({ token }: { token: { session_id: string } }) => ({ mine: token.session_id })
      use({ callbacks: { session } })
      await browser.signIn()
      expect(await browser.read()).toEqual({ mine: (await rows())[0]?.session_id })
    })
  })

  test('callbacks and events of the app run in their order, and mean what they mean', async () => {
    const calls: string[] = []
    const note = (name: string) => (params: never) => {
      calls.push(name)
      const { token, session } = params as { token: object; session: object }
      return name === 'callbacks.jwt' ? token : name === 'callbacks.session' ? session : true
    }
    const named = (kind: string, names: string[]) =>
      Object.fromEntries(names.map((name) => [name, note(`${kind}.${name}`)]))
    const config = {
      callbacks: named('callbacks', ['signIn', 'jwt', 'session']),
      events: named('events', ['signIn', 'signOut', 'session']),
    }
    use(config)
    await browser.signIn()
    await browser.read()
    await browser.signOut()
    const here = calls.splice(0)
    useBefore(config)
    browser = openBrowser(server.origin)
    await browser.signIn()
    await browser.read()
    await browser.signOut()
    expect(here).toEqual(calls)
    expect(here).toEqual([
      'callbacks.signIn',
      'callbacks.jwt',
      'events.signIn',
      'callbacks.jwt',
      'callbacks.session',
      'events.session',
      'events.signOut',
    ])
    expect(await liveRows()).toEqual([])

    use({ callbacks: { signIn: () => false } })
    await browser.signIn()
    expect(await liveRows()).toEqual([])
    expect(browser.header()).not.toContain(own)
  })

  test('an event signOut of the app that throws ends the session all the same', async () => {
    const signOut = () => {
      throw new Error('of the app')
    }
    use({ events: { signOut } })
    await browser.signIn()
    await browser.signOut()
    expect(await liveRows()).toEqual([])
    expect(messages()).toContain('of the app')
  })

  if (version === 5) {
    test('a configuration that is made for each request knows it', async () => {
      const wrap = (config: Config) => withSessions(async () => config, { bridge, identify })
      server.use({ version, config: configOf(), wrap })
      await browser.signIn()
      expect(await rows()).toMatchObject([{ user_agent: CHROME, revoked_at: null }])
      await browser.signIn()
      expect(await rows()).toHaveLength(2)
      expect(await liveRows()).toMatchObject([{ session_id: (await current()).session_id }])
      expect(await browser.read()).toEqual(await current())
      await browser.signOut()
      expect(await liveRows()).toEqual([])
    })
  }

  describe('who was signed in before', () => {
    const soon = () => ({ adopt: { until: new Date(Date.now() + 60_000) } })

    beforeEach(async () => {
      useBefore()
      await browser.signIn()
      expect(await rows()).toEqual([])
      expect(await current()).toEqual({})
    })

    test('gets one row, also if many requests come at once', async () => {
      use({}, soon())
      const answers = await browser.readAtOnce(6)
      const [row, ...others] = await rows()
      expect(others).toEqual([])
      expect(row).toMatchObject({ tenant: user.tenant, revoked_at: null, user_agent: CHROME })
      for (const answer of answers) {
        const [line = ''] = answer.headers.getSetCookie().filter((line) => line.startsWith(`${own}=ey`))
        const session = await bridge.getSession(line.split(';')[0])
        expect(session).toMatchObject({ session_id: row?.session_id, user: { id: user.user_id } })
        expect(await answer.json()).toEqual(session)
      }
    })

    test('is signed out by a revocation as everybody else, and a copy of the old cookie does not come back', async () => {
      const copy = browser.header()
      use({}, soon())
      await browser.read()
      await set('revoked_at = now()')
      expect(await browser.read()).toEqual(nobody)
      const response = await fetch(`${server.origin}/api/auth/session`, { headers: { cookie: copy } })
      expect(await response.json()).toEqual(nobody)
      expect(await liveRows()).toEqual([])
    })

    test.each<[string, () => WithSessionsOptions]>([
      ['without adopt', () => ({})],
      ['issued after until', () => ({ adopt: { until: new Date(Date.now() - 60_000) } })],
      ['whose user is not found', () => ({ ...soon(), identify: () => null })],
      ['whose user is not in the table', () => ({ ...soon(), identify: () => ({ ...claims(), id: randomUUID() }) })],
      ['whose id can not be one', () => ({ ...soon(), identify: () => ({ ...claims(), tenant: 'x' }) })],
    ])('stays signed in, and without a session: %s', async (_, options) => {
      vi.spyOn(console, 'error').mockImplementation(() => {})
      use({}, options())
      expect((await browser.read()).user.email).toBe(user.email)
      expect(browser.header()).toContain(own)
      const { rows: left } = await client.query('SELECT 1 FROM sessions WHERE tenant = $1 AND revoked_at IS NULL', [
        user.tenant,
      ])
      expect(left).toEqual([])
      expect(await current()).toEqual({})
    })
  })

  describe('in an outage', () => {
    let proxy: Awaited<ReturnType<typeof startProxy>>
    const logged = vi.fn()
    beforeEach(async () => {
      proxy = await startProxy(Number(new URL(url).port))
      const proxied = new URL(url)
      proxied.port = String(proxy.port)
      bridge = connect({}, proxied.href)
      use()
      await browser.signIn()
      logged.mockReset()
      vi.spyOn(console, 'error').mockImplementation(logged)
      proxy.close()
    })
    const mended = async () => {
      proxy = await startProxy(Number(new URL(url).port), proxy.port)
      onTestFinished(() => proxy.close())
    }

    test.each(['read', 'update'] as const)('%s gives the session of the token, and signs nobody out', async (how) => {
      const read = await (how === 'read' ? browser.read() : browser.update({}))
      expect(read).toMatchObject({ session_id: (await rows())[0]?.session_id, user: { email: user.email } })
      await expect(current()).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_DATABASE' })
      expect(logged.mock.calls[0]?.[0]).toMatch(
        /^authjs-bridge: failed to check the session: ERR_AUTH_BRIDGE_DATABASE: /,
      )
      await mended()
      await expect.poll(current).toMatchObject(read)
    })

    test('a sign-in fails', async () => {
      const [before] = await rows()
      await browser.signIn().catch(() => {})
      expect(await rows()).toEqual([before])
    })

    test('a sign-out deletes the cookies, is logged and counted', async () => {
      const copy = browser.header()
      await browser.signOut()
      expect(browser.header()).not.toContain(own)
      expect(logged.mock.calls[0]?.[0]).toMatch(
        /^authjs-bridge: failed to end the session at a sign-out: ERR_AUTH_BRIDGE_DATABASE: /,
      )
      expect(bridge.stats().failedSignOuts).toBe(1)
      await mended()
      expect(await bridge.getSession(copy)).toMatchObject({ session_id: (await rows())[0]?.session_id })
    })
  })

  // The last ones: from then on next-auth 5 expects an adapter of every configuration in this process.
  test.each<Way>([
    ['OpenID Connect, with an adapter', 'corp', () => browser.signInBy('corp'), true, 'signUp'],
    ['a link in an e-mail', 'email', followLink, true, 'signUp'],
  ])('a sign-up by %s starts a session, and so does a later sign-in', startsSessions)
})
