// `withSessions` and `createSessions` in production builds of apps with next-auth 5 and 4, where they learn the request from Next.js.
// The apps share the files of `next-auth-app`. What `withSessions` does to rows is in `__test__/with-sessions.spec.ts`.

import { randomUUID } from 'node:crypto'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { AuthBridge } from '../../index.js'
import { installWithPackage, next, ROOT, run, serve } from '../support/apps.mjs'
import { SECRET } from '../support/bridges.js'
import { openBrowser } from '../support/browse-auth.js'
import { collectErrors, DEVICES, launchBrowser } from '../support/browser.js'
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
    for (const part of ['app', version]) {
      await cp(join(ROOT, '__test__', 'next-modes', `next-auth-${part}`), app, { recursive: true })
    }
    for (const file of ['package.json', 'package-lock.json', 'app/icon.svg'])
      await cp(join(EXAMPLE, file), join(app, file))
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

  const newUser = () => createUser(client, { email: `${randomUUID()}@example.com` })
  const rowsOf = async (email: string) => {
    const statement =
      'SELECT sessions.* FROM sessions JOIN users USING (tenant, user_id) WHERE email = $1 ORDER BY created_at'
    return (await client.query(statement, [email])).rows
  }
  const rows = () => rowsOf(user.email)
  const liveRows = async () => (await rows()).filter(({ revoked_at }) => revoked_at === null)
  const current = () => bridge.getSession(browser.header())
  /** Next.js drops the `Max-Age=0` of a handler's cookie if the handler also uses `cookies()`: then the cookie is only emptied. */
  const tokens = () => browser.header().match(/session-token[^=]*=[^;]+/g) ?? []
  const credentials = () => ({ email: user.email })

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
      user = await newUser()
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
      user = await newUser()
      browser = openBrowser(origin, {}, path)
      await browser.signIn(credentials())
      expect(await liveRows()).toHaveLength(1)
      await bridge.revokeSessions({ tenant: user.tenant, userId: user.user_id })
      expect(await page()).toMatchObject({ authjs: null, bridge: {} })
      expect(await browser.update({})).toEqual(version === 5 ? null : {})
      expect(browser.header()).not.toContain(own)
    })
  })

  test('a browser: from the sign-up to the sign-out, on two devices', async () => {
    const chromium = await launchBrowser()
    onTestFinished(() => chromium.close())
    const open = async (device: keyof typeof DEVICES) => (await chromium.newContext({ ...DEVICES[device] })).newPage()
    const email = `${randomUUID()}@example.com`
    async function enter(page: Page, button: string) {
      await page.goto(`${origin}/devices`)
      await page.waitForURL('**/enter?callbackUrl=%2Fdevices')
      await page.getByLabel('E-mail').fill(email)
      await page.getByRole('button', { name: button }).click()
      await page.waitForURL('**/devices')
    }
    const devicesOf = (page: Page) => page.getByRole('listitem').locator('span').allInnerTexts()
    const cookieOf = async (page: Page) => (await page.context().cookies()).find(({ name }) => name === own)
    const LIVE = { revoked_at: null, revoked_reason: null }

    const desktop = await open('desktop')
    const errors = collectErrors(desktop)
    await enter(desktop, 'Sign up')
    const [first, ...noOther] = await rowsOf(email)
    expect(noOther).toEqual([])
    expect(first).toMatchObject({ ...LIVE, login_method: 'credentials', device_name: 'Chrome on Linux' })

    const phone = await open('phone')
    await enter(phone, 'Sign in')
    const [, second, ...noThird] = await rowsOf(email)
    expect(noThird).toEqual([])
    expect(second).toMatchObject({ ...LIVE, device_name: 'Safari on iOS', user_agent: DEVICES.phone.userAgent })

    // Each load rolls.
    const cookie = await cookieOf(desktop)
    const [before] = await rowsOf(email)
    await desktop.reload()
    expect(await devicesOf(desktop)).toEqual(['Chrome on Linux, this device', 'Safari on iOS'])
    const [rolled] = await rowsOf(email)
    expect(rolled.last_activity_at.getTime()).toBeGreaterThan(before.last_activity_at.getTime())
    expect(rolled.expires_at.getTime()).toBeGreaterThan(before.expires_at.getTime())
    expect((await cookieOf(desktop))?.value).not.toBe(cookie?.value)

    await desktop.getByRole('listitem').filter({ hasText: 'Safari on iOS' }).getByRole('button').click()
    await expect.poll(() => devicesOf(desktop)).toEqual(['Chrome on Linux, this device'])
    expect(await rowsOf(email)).toMatchObject([LIVE, { revoked_reason: 'ended elsewhere' }])
    await phone.reload()
    expect(new URL(phone.url()).pathname).toBe('/enter')
    expect(await cookieOf(phone)).toBeUndefined()

    const plan = desktop.getByRole('status')
    expect(await plan.innerText()).toBe('no plan')
    await desktop.getByRole('button', { name: 'Choose pro' }).click()
    await expect.poll(() => plan.innerText()).toBe('pro')
    await desktop.reload()
    expect(await plan.innerText()).toBe('pro')
    expect(await rowsOf(email)).toMatchObject([{ ...LIVE, session_id: first.session_id }, {}])

    const copy = `${own}=${(await cookieOf(desktop))?.value}`
    expect(await bridge.getSession(copy)).toMatchObject({ session_id: first.session_id, user: { email, plan: 'pro' } })
    await desktop.getByRole('button', { name: 'Sign out' }).click()
    await desktop.waitForURL('**/enter')
    expect(await cookieOf(desktop)).toBeUndefined()
    expect(await rowsOf(email)).toMatchObject([{ revoked_reason: 'signed_out' }, { revoked_reason: 'ended elsewhere' }])
    expect(await bridge.getSession(copy)).toEqual({})
    await desktop.goto(`${origin}/devices`)
    expect(new URL(desktop.url()).pathname).toBe('/enter')
    expect(errors).toEqual([])
  })

  if (version === 5) {
    test('server actions', async () => {
      user = await newUser()
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
