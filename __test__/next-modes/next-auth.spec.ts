// `withSessions` in production builds of apps with next-auth 5 and 4, where its callbacks learn the request from Next.js. What it does
// to rows is in `__test__/with-sessions.spec.ts`.

import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { AuthBridge } from '../../index.js'
import { installWithPackage, next, ROOT, run, serve } from '../support/apps.mjs'
import { SECRET } from '../support/bridges.js'
import { openBrowser } from '../support/browse-auth.js'
import { useDatabase } from '../support/database.js'
import { freePort } from '../support/postgres.mjs'
import { claimsOf, createSession, createUser } from '../support/tenants.mjs'

const CHROME =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36'
const EXAMPLE = join(ROOT, 'examples', 'nextjs')

describe.each([5, 4] as const)('next-auth %i', (version) => {
  const { client, url } = useDatabase()
  const [own, other] =
    version === 5
      ? ['authjs.session-token', 'next-auth.session-token']
      : ['next-auth.session-token', 'authjs.session-token']
  let folder: string
  let app: string
  let origin: string
  let server: Awaited<ReturnType<typeof serve>>
  let bridge: AuthBridge
  let user: Awaited<ReturnType<typeof createUser>>
  let browser: ReturnType<typeof openBrowser>

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-next-auth-'))
    app = join(folder, 'app')
    await cp(join(ROOT, '__test__', 'next-modes', `next-auth-${version}`), app, { recursive: true })
    for (const file of ['package.json', 'package-lock.json']) await cp(join(EXAMPLE, file), join(app, file))
    await installWithPackage(app, ...(version === 4 ? ['next-auth@4.24.15'] : []))
    // Without a database or a secret.
    await run(...next(app, ['build']), { cwd: app })
    ;({ server, origin } = await start())
    bridge = new AuthBridge({ secret: SECRET, databaseUrl: url, cookieName: [own, other], cookie: { secure: false } })
  })
  afterAll(async () => {
    await server?.stop()
    await bridge?.close()
    if (folder) await rm(folder, { recursive: true })
  })

  async function start(env: Record<string, string> = {}) {
    const port = String(await freePort())
    const origin = `http://localhost:${port}`
    const server = await serve(...next(app, ['start', '--port', port]), {
      cwd: app,
      env: { AUTH_SECRET: SECRET, [version === 5 ? 'AUTH_URL' : 'NEXTAUTH_URL']: origin, DATABASE_URL: url, ...env },
      ready: /Ready in/,
    })
    return { server, origin }
  }

  const rows = async () =>
    (await client.query('SELECT * FROM sessions WHERE user_id = $1 ORDER BY created_at', [user.user_id])).rows
  const liveRows = async () => (await rows()).filter(({ revoked_at }) => revoked_at === null)
  const current = () => bridge.getSession(browser.header())
  /** Next.js drops the `Max-Age=0` of a handler's cookie if the handler also uses `cookies()`: then the cookie is only emptied. */
  const tokens = () => browser.header().match(/session-token[^=]*=[^;]+/g) ?? []
  const credentials = () => ({
    user: JSON.stringify({ id: user.user_id, tenant: user.tenant, user_type: user.user_type, email: user.email }),
  })

  /** What a page shows of its request. */
  async function page(init?: RequestInit) {
    const html = await (await browser.send(origin, init)).text()
    const shown = (id: string) =>
      JSON.parse(html.match(new RegExp(`<p id="${id}">(.*?)</p>`))?.[1]?.replaceAll('&quot;', '"') || 'null')
    return { html, authjs: shown('authjs'), bridge: shown('bridge') }
  }

  /** A session of the other version of next-auth beside it. */
  async function holdOther() {
    const sealed = new AuthBridge({ secret: SECRET, databaseUrl: url, cookieName: other, cookie: { secure: false } })
    onTestFinished(() => sealed.close())
    const session = await createSession(client, user)
    const { setCookie } = await sealed.sealSession(claimsOf(user, session))
    for (const line of setCookie) browser.jar.set(line, origin)
  }

  const paths = version === 5 ? ['/api/auth'] : ['/api/auth', '/api/pages-auth']

  describe.each(paths)('%s', (path) => {
    test('a session from its sign-in to its sign-out', async () => {
      user = await createUser(client)
      browser = openBrowser(origin, { 'user-agent': CHROME, 'x-real-ip': '192.0.2.7' }, path)
      await holdOther()
      await browser.signIn(credentials())
      expect(await rows()).toHaveLength(2)
      const [row] = await liveRows()
      expect(row).toMatchObject({ login_method: 'credentials', user_agent: CHROME, ip_address: '192.0.2.7' })
      expect(await current()).toMatchObject({ session_id: row.session_id, user: { id: user.user_id } })

      const read = await browser.read()
      expect(read).toEqual(await current())
      const updated = await browser.update({ plan: 'pro', tenant: 'x' })
      expect(updated).toEqual({ ...read, user: { ...read.user, plan: 'pro' } })
      expect(updated).toEqual(await current())
      const shown = await page()
      expect(shown.authjs).toEqual(updated)
      expect(shown.bridge).toEqual(updated)

      await holdOther()
      const copy = browser.header()
      await browser.signOut()
      expect(await liveRows()).toEqual([])
      expect(tokens()).toEqual([])
      expect(await bridge.getSession(copy)).toEqual({})
    })

    test('a revocation', async () => {
      user = await createUser(client)
      browser = openBrowser(origin, {}, path)
      await browser.signIn(credentials())
      expect(await liveRows()).toHaveLength(1)
      await bridge.revokeSessions({ tenant: user.tenant, userId: user.user_id })
      expect(await page()).toMatchObject({ authjs: null, bridge: {} })
      expect(await browser.update({})).toEqual(version === 5 ? null : {})
      expect(browser.header()).not.toContain(own)
    })
  })

  if (version === 5) {
    test('server actions', async () => {
      user = await createUser(client)
      browser = openBrowser(origin, { 'user-agent': CHROME })

      /** Sends a form like a browser without JavaScript. */
      async function submit(id: string, fields: Record<string, string> = {}) {
        const { html } = await page()
        const [, name = 'no action'] = html.match(new RegExp(`<form id="${id}".*?name="(\\$ACTION_ID_\\w+)"`)) ?? []
        const form = new FormData()
        for (const [key, value] of Object.entries({ [name]: '', ...fields })) form.set(key, value)
        return browser.send(origin, { method: 'POST', body: form })
      }

      await submit('enter', credentials())
      expect(await rows()).toMatchObject([{ revoked_at: null, user_agent: CHROME }])
      expect(await page()).toMatchObject({ authjs: { user: { id: user.user_id } }, bridge: await current() })
      await submit('upgrade')
      expect(await current()).toMatchObject({ user: { plan: 'pro', tenant: user.tenant } })
      await holdOther()
      await submit('leave')
      expect(await liveRows()).toEqual([])
      expect(tokens()).toEqual([])
    })
  } else {
    test('the cookie of next-auth 5 is refused, and the message names that of the installed version', async () => {
      const wrong = await start({ WRONG_COOKIE: '1' })
      onTestFinished(() => wrong.server.stop())
      expect((await fetch(`${wrong.origin}/api/auth/session`)).status).toBe(500)
      expect(wrong.server.output()).toContain('cookieName: is not that of next-auth 4, which is installed')
    })
  }
})
