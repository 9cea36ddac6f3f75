// Tests the example in a real browser, started by its command.

import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ROOT, serve } from '../support/apps.mjs'
import { collectErrors, DEVICES, launchBrowser } from '../support/browser.js'
import { freePort, startPostgres } from '../support/postgres.mjs'

type Device = keyof typeof DEVICES
type User = 'internal' | 'client'

const MAX_SESSIONS = 4
const SCREENSHOTS = join(ROOT, 'screenshots')
/** Where the pictures of the documentation go. With PICTURES=1 they replace those in the repository. */
const PICTURES = process.env.PICTURES ? join(ROOT, 'docs', 'images') : SCREENSHOTS
const MAX_PICTURE_BYTES = 150_000

/** Starts the example, and reads its address and the logins from its output. */
async function startExample(args: string[], env: Record<string, string>) {
  const port = String(await freePort())
  const command = [join(ROOT, 'examples', 'nextjs.mjs'), ...args]
  const options = { cwd: ROOT, env: { PORT: port, ...env }, ready: /a user of its client portal/ }
  const server = await serve(process.execPath, command, options)
  const printed = server.output()
  const logins = Object.fromEntries(
    [...printed.matchAll(/^ +(\S+@\S+) +(\S+) +\((internal|client):/gm)].map(([, email, password, type]) => [
      type,
      { email, password },
    ]),
  )
  return { ...server, origin: printed.match(/http:\/\/localhost:\d+/)?.[0] ?? '', logins }
}

let browser: Browser
let database: Awaited<ReturnType<typeof startPostgres>>
let example: Awaited<ReturnType<typeof startExample>>
beforeAll(async () => {
  await mkdir(SCREENSHOTS, { recursive: true })
  browser = await launchBrowser()
  database = await startPostgres()
  example = await startExample([], { DATABASE_URL: database.url(), MAX_SESSIONS: String(MAX_SESSIONS) })
})
afterAll(async () => {
  await example?.stop()
  await database?.dispose()
  await browser?.close()
})

async function newDevice(device: Device, { origin } = example) {
  const context = await browser.newContext({ ...DEVICES[device], baseURL: origin })
  return context.newPage()
}

async function signIn(page: Page, user: User) {
  await page.goto('/dashboard')
  await page.waitForURL('**/signin')
  await page.getByLabel('E-mail').fill(example.logins[user]?.email ?? '')
  await page.getByLabel('Password').fill(example.logins[user]?.password ?? '')
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.waitForURL('**/dashboard')
}

async function signedIn(device: Device, user: User = 'internal', at = example) {
  const page = await newDevice(device, at)
  await signIn(page, user)
  return page
}

/** A request of the page's browser, with its cookies. */
async function get(page: Page, path: string) {
  const response = await page.request.get(path)
  return { status: response.status(), body: await response.text() }
}

const cookieOf = async (page: Page) =>
  (await page.context().cookies()).find(({ name }) => name === 'authjs.session-token')
const tokenOf = async (page: Page) => (await cookieOf(page))?.value
const sessionOf = async (page: Page) => JSON.parse((await get(page, '/api/session')).body)
const devicesOf = (page: Page) => page.getByRole('listitem').locator('.device-name').allInnerTexts()
const sessionStatus = (page: Page) => page.locator('.status').innerText()
const fieldsOf = (page: Page) => page.locator('dl').innerText()

async function screenshot(page: Page, name: string) {
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true })
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
  expect(overflow).toBeLessThanOrEqual(0)
}

async function picture(page: Page, name: string, options = {}) {
  const path = join(PICTURES, `${name}.png`)
  await page.screenshot({ path, ...options })
  expect((await stat(path)).size).toBeLessThan(MAX_PICTURE_BYTES)
}

async function query(statement: string, values: unknown[]) {
  const client = new pg.Client(database.url())
  await client.connect()
  const { rows } = await client.query(statement, values)
  await client.end()
  return rows[0]
}

test('the command prints the address and two logins', () => {
  expect(example.origin).toMatch(/^http:\/\/localhost:\d+$/)
  expect(Object.keys(example.logins).sort()).toEqual(['client', 'internal'])
})

describe('signed in', () => {
  test('the dashboard shows the session of auth(), the body of the endpoint, and this device', async () => {
    const page = await newDevice('desktop')
    const errors = collectErrors(page)
    await signIn(page, 'internal')
    const session = await sessionOf(page)
    expect(session).toMatchObject({
      login_method: 'credentials',
      user: { email: 'ada@acme.example', name: 'Ada Lovelace', user_type: 'internal', tenantSlug: 'acme' },
    })
    expect(await fieldsOf(page)).toContain(session.session_id)
    expect(await devicesOf(page)).toEqual([expect.stringMatching(/^Chrome on Linux\s+This device$/)])
    await expect.poll(() => page.getByTestId('body').innerText()).toBe(JSON.stringify(session))
    await expect.poll(() => sessionStatus(page)).toBe('useSession() authenticated')
    expect(errors).toEqual([])
  })

  test('the client-portal user has the fields of a client', async () => {
    const page = await signedIn('desktop', 'client')
    const { user } = await sessionOf(page)
    expect(user).toMatchObject({
      email: 'grace@client.example',
      user_type: 'client',
      clientId: 'c1a4b7e9-3d52-4f86-a0b3-9e8d7c6f5a01',
      contactId: '5e0c7d34-88b1-4c1f-8d6e-2b7a90c4e301',
    })
    expect(await page.locator('.person').innerText()).toMatch(/Grace Hopper\s+Client portal/)
    const fields = await fieldsOf(page)
    expect(fields).toContain(user.clientId)
    expect(fields).toContain(user.contactId)
    await expect.poll(() => page.getByTestId('body').innerText()).toContain(user.contactId)
  })

  test('the endpoint sets no cookie, and Auth.js can’t be asked for one', async () => {
    const page = await signedIn('desktop')
    const first = await tokenOf(page)
    const read = await page.request.get('/api/auth/session')
    expect(read.headers()['set-cookie']).toBeUndefined()
    const { csrfToken } = await (await page.request.get('/api/auth/csrf')).json()
    expect((await page.request.post('/api/auth/session', { data: { csrfToken, data: {} } })).status()).toBe(405)
    expect(await tokenOf(page)).toBe(first)
  })

  test('an action that changes a claim shows it in its own response, and from then on', async () => {
    const page = await signedIn('phone', 'client')
    const first = await tokenOf(page)
    const username = 'grace.hopper'
    await page.getByLabel('New username').fill(username)
    const requests: string[] = []
    page.on('request', (request) => requests.push(`${request.method()} ${new URL(request.url()).pathname}`))
    await page.getByRole('button', { name: 'Change' }).click()
    await expect.poll(() => fieldsOf(page)).toContain(username)
    expect(requests.filter((request) => request.endsWith('/dashboard'))).toEqual(['POST /dashboard'])
    expect(await tokenOf(page)).not.toBe(first)
    expect((await sessionOf(page)).user.username).toBe(username)
    await page.reload()
    expect(await fieldsOf(page)).toContain(username)
  })

  test('the dashboard shows what its calls took', async () => {
    const page = await signedIn('phone')
    const calls = await page.getByRole('row').allInnerTexts()
    expect(calls).toEqual(
      ['auth()', 'stats().latency.p50', 'listSessions()'].map((call) => expect.stringContaining(call)),
    )
    for (const call of calls) expect(call).toMatch(/\s\d+\.\d\d ms$/)
  })

  test('the sign-in page sends the signed-in on', async () => {
    const page = await signedIn('desktop')
    await page.goto('/signin')
    expect(new URL(page.url()).pathname).toBe('/dashboard')
  })
})

test('a wrong password is refused with a message', async () => {
  const page = await newDevice('phone')
  await page.goto('/signin')
  await page.getByRole('button', { name: 'Ada Lovelace' }).click()
  await page.getByLabel('Password').fill('wrong')
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await expect.poll(() => page.locator('.problem').innerText()).toMatch(/don’t match/)
  expect(await get(page, '/api/session')).toEqual({ status: 200, body: '{}' })
})

describe('the plan of the tenant', () => {
  const planIs = (plan: string) => query('SELECT 1 AS found FROM tenants WHERE plan = $1', [plan])

  test('changes for all its users on their next page, and their cookies stay as they are', async () => {
    const [ada, grace] = [await signedIn('desktop'), await signedIn('phone', 'client')]
    const tokens = await Promise.all([ada, grace].map(tokenOf))
    for (const plan of ['solo', 'pro']) {
      await ada.getByRole('button', { name: plan }).click()
      await expect.poll(() => fieldsOf(ada)).toMatch(new RegExp(`Plan\\s+${plan}`))
      expect(await ada.getByRole('button', { name: plan }).getAttribute('aria-pressed')).toBe('true')
      await grace.reload()
      expect(await fieldsOf(grace)).toMatch(new RegExp(`Plan\\s+${plan}`))
      expect((await sessionOf(grace)).user.plan).toBe(plan)
    }
    expect(await Promise.all([ada, grace].map(tokenOf))).toEqual(tokens)
  })

  test("can't be changed by a client, even by the request of the staff", async () => {
    const [ada, grace] = [await signedIn('desktop'), await signedIn('phone', 'client')]
    expect(await grace.getByRole('button', { name: 'solo' }).count()).toBe(0)
    const posted = ada.waitForRequest((request) => request.method() === 'POST')
    await ada.getByRole('button', { name: 'solo' }).click()
    const request = await posted
    await expect.poll(() => planIs('solo')).toEqual({ found: 1 })
    const { 'next-action': action = '', 'content-type': type = '' } = request.headers()
    const repeated = { headers: { 'next-action': action, 'content-type': type }, data: request.postDataBuffer() }

    await query(`UPDATE tenants SET plan = 'premium'`, [])
    expect((await grace.request.post('/dashboard', repeated)).status()).toBe(200)
    expect(await planIs('premium')).toEqual({ found: 1 })
    expect((await ada.request.post('/dashboard', repeated)).status()).toBe(200)
    expect(await planIs('solo')).toEqual({ found: 1 })
  })
})

describe('two devices of one user', () => {
  test('see each other; one signs the other out, and its next request has no session', async () => {
    const desktop = await signedIn('desktop')
    const phone = await signedIn('phone')
    await desktop.reload()
    for (const page of [desktop, phone]) {
      expect((await devicesOf(page)).map((name) => name.split('\n')[0]).sort()).toEqual(
        expect.arrayContaining(['Chrome on Linux', 'Safari on iOS']),
      )
    }
    const { session_id } = await sessionOf(phone)
    await expect.poll(() => sessionStatus(phone)).toBe('useSession() authenticated')

    await desktop.getByRole('button', { name: 'Sign out Safari on iOS' }).first().click()
    await expect
      .poll(() => query('SELECT revoked_reason FROM sessions WHERE session_id = $1', [session_id]))
      .toEqual({ revoked_reason: 'signed out from another device' })

    expect(await get(phone, '/api/session')).toEqual({ status: 200, body: '{}' })
    expect(await get(phone, '/api/auth/session')).toEqual({ status: 200, body: 'null' })
    // Chromium fires this event when the user comes back to the tab.
    await phone.evaluate(() => document.dispatchEvent(new Event('visibilitychange')))
    await expect.poll(() => sessionStatus(phone)).toBe('useSession() unauthenticated')
    await phone.reload()
    expect(new URL(phone.url()).pathname).toBe('/signin')
    await expect.poll(() => sessionStatus(phone)).toBe('useSession() unauthenticated')
    await desktop.reload()
    expect((await sessionOf(desktop)).user.email).toBe('ada@acme.example')
    expect(new URL(desktop.url()).pathname).toBe('/dashboard')
  })

  test('one signs out all others, and stays', async () => {
    const [desktop, phone, tablet] = [await signedIn('desktop'), await signedIn('phone'), await signedIn('phone')]
    await desktop.reload()
    await desktop.getByRole('button', { name: 'Sign out all others' }).click()
    await expect.poll(() => devicesOf(desktop)).toEqual([expect.stringMatching(/^Chrome on Linux\s+This device$/)])
    for (const page of [phone, tablet]) expect(await get(page, '/api/session')).toEqual({ status: 200, body: '{}' })
    expect((await sessionOf(desktop)).user.email).toBe('ada@acme.example')
  })

  test('after signing out, a copy of the cookie has no session', async () => {
    const page = await signedIn('desktop')
    const { session_id } = await sessionOf(page)
    const copy = (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join('; ')
    const replay = () => fetch(`${example.origin}/api/session`, { headers: { cookie: copy } }).then((got) => got.json())
    expect((await replay()).session_id).toBe(session_id)

    await page.getByRole('listitem').filter({ hasText: 'This device' }).getByRole('button').click()
    await page.waitForURL('**/signin')
    expect(await replay()).toEqual({})
    expect((await page.context().cookies()).map(({ name }) => name)).not.toContain('authjs.session-token')
    expect(await get(page, '/api/session')).toEqual({ status: 200, body: '{}' })
    const row = await query('SELECT revoked_reason FROM sessions WHERE session_id = $1', [session_id])
    expect(row).toEqual({ revoked_reason: 'signed_out' })
  })

  test("a session of another user can't be signed out, even by its id", async () => {
    const grace = await signedIn('phone', 'client')
    const { session_id } = await sessionOf(grace)
    const ada = await signedIn('desktop')
    await signedIn('phone')
    await ada.reload()
    const row = ada.getByRole('listitem').filter({ hasNotText: 'This device' }).first()
    await row.locator('[name=session_id]').evaluate((input, id) => ((input as HTMLInputElement).value = id), session_id)
    const answer = ada.waitForResponse((response) => response.request().method() === 'POST')
    await row.getByRole('button').click()
    expect((await answer).status()).toBe(200)
    expect((await sessionOf(grace)).session_id).toBe(session_id)
  })
})

test('one session more than the limit signs out the device that was not used for longest', async () => {
  await query('DELETE FROM sessions', [])
  const devices: Page[] = []
  for (let count = 0; count < MAX_SESSIONS; count++) devices.push(await signedIn('desktop'))
  const [first, second] = devices as [Page, Page]
  // The first one is in use again.
  await query('UPDATE sessions SET last_activity_at = now() WHERE session_id = $1', [
    (await sessionOf(first)).session_id,
  ])
  const { session_id } = await sessionOf(second)
  await signedIn('phone')
  expect(await get(second, '/api/session')).toEqual({ status: 200, body: '{}' })
  expect((await sessionOf(first)).user.email).toBe('ada@acme.example')
  const row = await query('SELECT revoked_reason FROM sessions WHERE session_id = $1', [session_id])
  expect(row).toEqual({ revoked_reason: 'max_sessions' })
})

describe('the page of all sessions', () => {
  test('shows the staff who is signed in where, and ends one session or all of a user', async () => {
    await query('DELETE FROM sessions', [])
    const [grace, phone] = [await signedIn('desktop', 'client'), await signedIn('phone', 'client')]
    const ada = await signedIn('desktop')
    await ada.getByRole('link', { name: 'All sessions' }).click()
    await ada.waitForURL('**/admin')
    const of = (name: string) => ada.getByRole('region', { name })
    await expect.poll(() => of('Grace Hopper').getByRole('listitem').count()).toBe(2)
    expect(await of('Ada Lovelace').getByRole('listitem').innerText()).toContain('This device')
    await screenshot(ada, 'admin-desktop')
    const { width, height } = DEVICES.phone.viewport
    await ada.setViewportSize({ width, height })
    await screenshot(ada, 'admin-phone')
    const { session_id } = await sessionOf(phone)
    await of('Grace Hopper').getByRole('button', { name: 'End Safari on iOS of Grace Hopper' }).click()
    await expect.poll(() => of('Grace Hopper').getByRole('listitem').count()).toBe(1)
    expect(await get(phone, '/api/session')).toEqual({ status: 200, body: '{}' })
    const row = await query('SELECT revoked_reason FROM sessions WHERE session_id = $1', [session_id])
    expect(row).toEqual({ revoked_reason: 'ended by an administrator' })
    await of('Grace Hopper').getByRole('button', { name: 'End all of Grace Hopper' }).click()
    await expect.poll(() => of('Grace Hopper').innerText()).toContain('Signed in nowhere.')
    expect(await get(grace, '/api/session')).toEqual({ status: 200, body: '{}' })
    expect((await sessionOf(ada)).user.email).toBe('ada@acme.example')
  })

  test('is not for clients', async () => {
    const grace = await signedIn('phone', 'client')
    await grace.goto('/admin')
    expect(new URL(grace.url()).pathname).toBe('/dashboard')
  })
})

test('with the database stopped the app says so; after its start the session is back', async () => {
  const page = await signedIn('desktop')
  const { session_id } = await sessionOf(page)
  await database.stop()
  try {
    await page.goto('/dashboard')
    await expect.poll(() => page.locator('h1').innerText()).toBe('We can’t check your session right now')
    await screenshot(page, 'outage-desktop')
    const failed = { status: 500, body: '{"error":"failed_to_get_session"}' }
    expect(await get(page, '/api/auth/session')).toEqual(failed)
    expect(example.output()).toContain('failed to get the session: ERR_AUTH_BRIDGE_DATABASE')

    const phone = await newDevice('phone')
    await phone.goto('/signin')
    await phone.getByRole('button', { name: 'Ada Lovelace' }).click()
    await phone.getByRole('button', { name: 'Sign in', exact: true }).click()
    await expect.poll(() => phone.locator('.problem').innerText()).toMatch(/can’t be signed in right now/)
    expect(await phone.getByLabel('E-mail').inputValue()).toBe('ada@acme.example')
    await screenshot(phone, 'outage-phone')
  } finally {
    await database.start()
  }
  await page.getByRole('button', { name: 'Try again' }).click()
  await expect.poll(() => fieldsOf(page)).toContain(session_id)
  expect((await sessionOf(page)).session_id).toBe(session_id)
})

test.each<Device>(['desktop', 'phone'])('no page is wider than a %s', async (device) => {
  const page = await newDevice(device)
  await page.goto('/signin')
  await expect.poll(() => sessionStatus(page)).toBe('useSession() unauthenticated')
  await screenshot(page, `signin-${device}`)

  await query('DELETE FROM sessions', [])
  await signedIn(device === 'phone' ? 'desktop' : 'phone', 'client')
  await query(`UPDATE sessions SET last_activity_at = now() - interval '3 hours'`, [])
  await signIn(page, 'client')
  await expect.poll(() => page.getByTestId('body').innerText()).toContain('grace@client.example')
  await expect.poll(() => sessionStatus(page)).toBe('useSession() authenticated')
  expect(await page.getByRole('listitem').last().innerText()).toContain('Active 3 hours ago')
  await screenshot(page, `dashboard-${device}`)
  await page.emulateMedia({ colorScheme: 'dark' })
  await screenshot(page, `dashboard-${device}-dark`)
})

test('the pictures of the documentation are small', async () => {
  await query(`UPDATE tenants SET plan = 'premium'`, [])
  await query('DELETE FROM sessions', [])
  await signedIn('phone')
  await signedIn('phone', 'client')
  await query(`UPDATE sessions SET last_activity_at = now() - interval '3 hours'`, [])
  const [ada, grace] = [await signedIn('desktop'), await signedIn('phone', 'client')]
  await ada.goto('/admin')
  await expect.poll(() => sessionStatus(ada)).toBe('useSession() authenticated')
  await picture(ada, 'example-admin', { clip: { x: 0, y: 0, width: 1280, height: 420 } })
  await ada.goto('/dashboard')
  await expect.poll(() => ada.getByTestId('body').innerText()).toContain('ada@acme.example')
  await expect.poll(() => sessionStatus(ada)).toBe('useSession() authenticated')
  await picture(ada, 'example', { fullPage: true })
  await grace.getByRole('region', { name: 'Plan' }).evaluate((card) => card.scrollIntoView())
  await picture(grace, 'example-phone')
})

// At the same time, since they mostly wait.
describe.concurrent('rolling sessions', () => {
  const SECONDS = 8
  const ABSOLUTE_SECONDS = 60
  let rolling: typeof example
  beforeAll(async () => {
    const env = {
      DATABASE_URL: database.url(),
      SESSION_SECONDS: String(SECONDS),
      ABSOLUTE_SESSION_SECONDS: String(ABSOLUTE_SECONDS),
      MAX_SESSIONS: '100',
    }
    rolling = await startExample(['--no-build'], env)
  })
  afterAll(() => rolling?.stop())

  const rowOf = (session_id: string) => query('SELECT * FROM sessions WHERE session_id = $1', [session_id])

  /** Runs `action` each second until after `expires_at`. */
  async function untilAfter(expires_at: Date, action: () => Promise<unknown>) {
    while (Date.now() < expires_at.getTime() + 2_000) {
      await setTimeout(1_000)
      await action()
    }
  }

  test('an active session outlives its first cookie and its first expires_at', async () => {
    const page = await signedIn('desktop', 'internal', rolling)
    const { session_id } = await sessionOf(page)
    const first = await rowOf(session_id)
    const cookie = await cookieOf(page)
    expect(first.expires_at - first.last_activity_at).toBe(SECONDS * 1000)
    await untilAfter(first.expires_at, async () => {
      await page.reload()
      expect(new URL(page.url()).pathname).toBe('/dashboard')
    })
    expect((await sessionOf(page)).session_id).toBe(session_id)
    const last = await rowOf(session_id)
    expect(last.expires_at - last.last_activity_at).toBe(SECONDS * 1000)
    expect(last.last_activity_at.getTime()).toBeGreaterThan(first.last_activity_at.getTime())
    // By now the browser has dropped the first cookie.
    expect(cookie?.expires).toBeLessThan(Date.now() / 1000)
    expect((await cookieOf(page))?.expires).toBeGreaterThan(Date.now() / 1000)
  })

  test('a session that is only read ends at its expires_at', async () => {
    const page = await signedIn('desktop', 'internal', rolling)
    const { session_id } = await sessionOf(page)
    const first = await rowOf(session_id)
    await untilAfter(first.expires_at, () => get(page, '/api/auth/session'))
    expect(await rowOf(session_id)).toEqual(first)
    expect(await get(page, '/api/session')).toEqual({ status: 200, body: '{}' })
    await page.reload()
    expect(new URL(page.url()).pathname).toBe('/signin')
  })

  test('an idle session ends, though its cookie was rolled before', async () => {
    const page = await signedIn('desktop', 'internal', rolling)
    const { session_id } = await sessionOf(page)
    await setTimeout(5_000)
    await page.reload()
    const { expires_at } = await rowOf(session_id)
    await untilAfter(expires_at, async () => {})
    expect(await get(page, '/api/session')).toEqual({ status: 200, body: '{}' })
    await page.reload()
    expect(new URL(page.url()).pathname).toBe('/signin')
    expect((await rowOf(session_id)).expires_at).toEqual(expires_at)
  })

  test('an absolute limit ends a session in spite of activity', async () => {
    const LEFT = 6
    const page = await signedIn('desktop', 'internal', rolling)
    const { session_id } = await sessionOf(page)
    // As if it had been in use until now.
    const { created_at } = await query(
      'UPDATE sessions SET created_at = now() - make_interval(secs => $2) WHERE session_id = $1 RETURNING created_at',
      [session_id, ABSOLUTE_SECONDS - LEFT],
    )
    const end = created_at.getTime() + ABSOLUTE_SECONDS * 1000
    const visits: { before: boolean; path: string }[] = []
    await untilAfter(new Date(end), async () => {
      const before = Date.now() < end - 1_000
      await page.reload()
      visits.push({ before, path: new URL(page.url()).pathname })
    })
    expect(visits.filter(({ before }) => before).length).toBeGreaterThan(1)
    for (const { before, path } of visits) if (before) expect(path).toBe('/dashboard')
    expect(visits.at(-1)?.path).toBe('/signin')
    const { expires_at, revoked_at } = await rowOf(session_id)
    // It was slid, but not beyond the limit.
    expect(Math.abs(expires_at.getTime() - end)).toBeLessThan(100)
    expect(revoked_at).toBeNull()
    expect(await get(page, '/api/session')).toEqual({ status: 200, body: '{}' })
    expect(await cookieOf(page)).toBeUndefined()
  })

  test('after a sign-out in one tab, another that rolls the session stays signed out', async () => {
    const page = await signedIn('desktop', 'internal', rolling)
    const { session_id } = await sessionOf(page)
    const other = await page.context().newPage()
    await setTimeout(5_000)
    // Both are due, and go at the same time.
    const rolled = Promise.all([1, 2, 3, 4].map(() => other.request.get('/dashboard')))
    await page.getByRole('listitem').filter({ hasText: 'This device' }).getByRole('button').click()
    await page.waitForURL('**/signin')
    await rolled
    await other.goto('/dashboard')
    expect(new URL(other.url()).pathname).toBe('/signin')
    expect(await get(other, '/api/session')).toEqual({ status: 200, body: '{}' })
    expect((await rowOf(session_id)).revoked_reason).toBe('signed_out')
  })

  test('a revoked session stays revoked, even in use', async () => {
    const page = await signedIn('desktop', 'internal', rolling)
    const { session_id } = await sessionOf(page)
    await query(`UPDATE sessions SET revoked_at = now(), revoked_reason = 'lost' WHERE session_id = $1`, [session_id])
    const revoked = await rowOf(session_id)
    // Long enough that a live session would be due.
    await setTimeout(5_000)
    await page.reload()
    expect(new URL(page.url()).pathname).toBe('/signin')
    expect(await rowOf(session_id)).toEqual(revoked)
    expect((await page.context().cookies()).map(({ name }) => name)).not.toContain('authjs.session-token')
  })
})

test('without DATABASE_URL it starts its own PostgreSQL', async () => {
  const own = await startExample(['--no-build'], {})
  try {
    const page = await signedIn('phone', 'client', own)
    const { session_id } = await sessionOf(page)
    expect(await query('SELECT 1 FROM sessions WHERE session_id = $1', [session_id])).toBeUndefined()
  } finally {
    await own.stop()
  }
})
