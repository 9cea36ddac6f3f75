// What `createSessions` does in a running app: the tests of `__test__/next/app`, for each way to run it.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { useApp } from './next-app.js'
import { freePort } from './postgres.mjs'

const NOT_CACHEABLE = 'private, no-cache, no-store, max-age=0'
const NAME = 'authjs.session-token'

type App = ReturnType<typeof useApp>
type Start = (env?: Record<string, string>) => ReturnType<App['start']>

/** @param mode `next dev` sends headers of its own, with which nothing is cached. */
export function testSessions(app: App, start: Start, mode: 'development' | 'production' = 'production') {
  let origin: string
  beforeAll(async () => {
    ;({ origin } = await start())
  })
  afterAll(app.stopAll)

  async function send(path: string, cookie?: string, { headers, ...init }: RequestInit = {}, at = origin) {
    const response = await fetch(at + path, {
      redirect: 'manual',
      headers: { ...(cookie ? { cookie } : {}), ...headers },
      ...init,
    })
    return {
      status: response.status,
      location: response.headers.get('location'),
      caching: response.headers.get('cache-control'),
      headers: response.headers,
      lines: response.headers.getSetCookie(),
      body: await response.text(),
    }
  }
  const json = (body: unknown) => ({ method: 'POST', body: JSON.stringify(body) })
  const textOf = (html: string, id: string) => html.match(new RegExp(`<p id="${id}">([^<]*)</p>`))?.[1]

  /** The `Cookie` header of a browser with this one after it has got these lines. */
  function keep(cookie: string, lines: string[]) {
    const jar = new Map([...cookie.matchAll(/([^=; ]+)=([^;]*)/g)].map(([, name = '', value = '']) => [name, value]))
    for (const line of lines) {
      const [, name = '', value = ''] = line.match(/^([^=]+)=([^;]*)/) ?? []
      if (value) jar.set(name, value)
      else jar.delete(name)
    }
    return [...jar].map((pair) => pair.join('=')).join('; ')
  }

  /** Goes where a browser is sent to. @returns the paths that were asked for, and the last response */
  async function browse(path: string, cookie: string) {
    const paths = [path]
    for (;;) {
      const response = await send(paths.at(-1) ?? '', cookie)
      cookie = keep(cookie, response.lines)
      if (!response.location || paths.length > 5) return { paths, cookie, ...response }
      const { pathname, search } = new URL(response.location, origin)
      paths.push(pathname + search)
    }
  }

  const isRolled = (line: string) => line.startsWith(`${NAME}=ey`)
  const activity = async ({ session_id }: { session_id: string }) => {
    const { rows } = await app.client.query('SELECT last_activity_at FROM sessions WHERE session_id = $1', [session_id])
    return rows[0].last_activity_at
  }
  const revoke = ({ session_id }: { session_id: string }) =>
    app.client.query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [session_id])

  describe('rolling', () => {
    test('the browser and the page of the same request get the new cookie; the next request is only read', async () => {
      const { session, cookie } = await app.signIn()
      const { lines, caching, body } = await send('/cookies', `theme=dark; ${cookie}; theme=light`)
      expect(lines).toEqual([
        expect.stringMatching(/^authjs\.session-token=ey[^;]+; Path=\/; Expires=[^;]+ GMT; HttpOnly; SameSite=Lax$/i),
      ])
      expect(caching).toContain('no-store')
      const renewed = keep(cookie, lines)
      expect(renewed).not.toBe(cookie)
      expect(textOf(body, 'header')).toBe(`theme=dark; ${renewed}; theme=light`)
      expect(textOf(body, 'jar')).toContain(renewed)
      expect(textOf(body, 'session')).toBe(session.session_id)
      expect(await activity(session)).toBeInstanceOf(Date)

      const next = await send('/cookies', renewed)
      expect(next.lines).toEqual([])
      expect(textOf(next.body, 'session')).toBe(session.session_id)
    })

    test('also by HEAD, but not by POST', async () => {
      const { session, cookie } = await app.signIn()
      expect((await send('/api/lines', cookie, json([]))).lines).toEqual([])
      expect(await activity(session)).toBeNull()
      expect((await send('/cookies', cookie, { method: 'HEAD' })).lines).toEqual([expect.stringMatching(/=ey/)])
    })

    test.each([
      ['purpose', 'prefetch'],
      ['sec-purpose', 'prefetch;prerender'],
    ])('a prefetch (%s: %s) reads, and rolls nothing', async (name, value) => {
      const { session, cookie } = await app.signIn()
      for (const path of ['/cookies', '/guarded', '/api/rolling']) {
        const { status, lines, body } = await send(path, cookie, { headers: { [name]: value } })
        expect(status).toBe(200)
        expect(lines).toEqual([])
        expect(body).toContain(session.session_id)
      }
      expect(await activity(session)).toBeNull()
    })

    test('nothing below the base path of Auth.js is touched', async () => {
      const { session, cookie } = await app.signIn()
      const { lines, caching } = await send('/api/auth/callback/test', cookie)
      expect(lines).toEqual([`${NAME}=of-the-sign-in; Path=/`])
      expect(caching).not.toBe(NOT_CACHEABLE)
      const read = await send('/api/auth/session', cookie)
      expect(JSON.parse(read.body).session_id).toBe(session.session_id)
      expect(read.lines).toEqual([])
      expect(await activity(session)).toBeNull()
    })

    test('a static page with a new cookie is not cacheable', async () => {
      const { cookie } = await app.signIn()
      const rolled = await send('/static', cookie)
      expect(rolled.lines.filter(isRolled)).toHaveLength(1)
      if (mode === 'development') return expect(rolled.caching).toContain('no-store')
      expect(rolled.caching).toBe(NOT_CACHEABLE)
      for (const again of [undefined, keep(cookie, rolled.lines)]) {
        const { lines, caching } = await send('/static', again)
        expect({ lines, caching }).toEqual({ lines: [], caching: expect.stringContaining('s-maxage=') })
      }
    })

    test('the cookie of a session that has ended is deleted when it would be due', async () => {
      const { session, cookie } = await app.signIn()
      const renewed = keep(cookie, (await send('/static', cookie)).lines)
      await revoke(session)
      expect((await send('/static', renewed)).lines).toEqual([])
      expect((await send('/static', cookie)).lines).toEqual([expect.stringContaining(`${NAME}=; Max-Age=0`)])
    })

    test('the endpoint with rolling: true sends the session, and the cookie once', async () => {
      const { session, cookie } = await app.signIn()
      const { lines, body } = await send('/api/rolling', cookie)
      expect(JSON.parse(body).session_id).toBe(session.session_id)
      expect(lines.filter(isRolled)).toHaveLength(1)
    })
  })

  describe('authorized', () => {
    test('lets in who is signed in, with a new cookie', async () => {
      const { session, cookie } = await app.signIn()
      const { status, lines, body } = await send('/guarded', cookie)
      expect(status).toBe(200)
      expect(lines.filter(isRolled)).toHaveLength(1)
      expect(textOf(body, 'session')).toBe(session.session_id)
    })

    test.each([
      ['GET', '/guarded?x=1&y=%2F', 307, '/guarded/signin?callbackUrl=%2Fguarded%3Fx%3D1%26y%3D%252F'],
      ['HEAD', '/guarded', 307, '/guarded/signin?callbackUrl=%2Fguarded'],
      ['POST', '/guarded', 303, '/guarded/signin?callbackUrl=%2Fguarded'],
      ['GET', '/guarded/undefined', 307, '/guarded/signin?callbackUrl=%2Fguarded%2Fundefined'],
    ])('sends who is not to the sign-in page: %s %s', async (method, path, status, location) => {
      const { lines, ...response } = await send(path, undefined, { method })
      expect({ status: response.status, location: response.location?.replace(origin, '') }).toEqual({
        status,
        location,
      })
      expect(lines).toEqual([])
    })

    test('shows the sign-in page, and sends the signed-in away from it', async () => {
      expect((await send('/guarded/signin')).body).toContain('Sign in')
      const { session, cookie } = await app.signIn()
      const { lines, ...away } = await send('/guarded/signin', cookie)
      expect({ ...away, location: away.location?.replace(origin, '') }).toMatchObject({
        status: 307,
        location: '/guarded',
      })
      expect(lines.filter(isRolled)).toHaveLength(1)
      expect(away.caching).toBe(NOT_CACHEABLE)
      const { paths, body } = await browse('/guarded/signin', cookie)
      expect(paths).toEqual(['/guarded/signin', '/guarded'])
      expect(textOf(body, 'session')).toBe(session.session_id)
    })

    test.each([
      ['was revoked, and its cookie is deleted', revoke, ''],
      [
        'is unknown, and its cookie stays',
        ({ session_id }: { session_id: string }) =>
          app.client.query('DELETE FROM sessions WHERE session_id = $1', [session_id]),
        `${NAME}=`,
      ],
    ])('there is one verdict and no loop when the session %s', async (_, end, kept) => {
      const { session, cookie } = await app.signIn()
      const renewed = (await browse('/guarded', cookie)).cookie
      await end(session)
      for (const path of ['/guarded', '/guarded/signin']) {
        const { paths, status, body, cookie: after } = await browse(path, renewed)
        expect(paths).toEqual(path === '/guarded' ? [path, '/guarded/signin?callbackUrl=%2Fguarded'] : [path])
        expect(status).toBe(200)
        expect(body).toContain('Sign in')
        expect(after.slice(0, NAME.length + 1)).toBe(kept)
      }
    })

    test('sees the new cookie, and its Response is sent with it', async () => {
      const { cookie } = await app.signIn()
      const { status, lines, caching, body } = await send('/guarded/response', `a=1; a=2; ${cookie}`)
      const renewed = keep(cookie, lines)
      expect(status).toBe(200)
      expect(renewed).not.toBe(cookie)
      expect(caching).toBe(NOT_CACHEABLE)
      expect(JSON.parse(body)).toEqual({
        header: `a=1; a=2; ${renewed}`,
        cookies: [
          { name: 'a', value: '2' },
          { name: NAME, value: renewed.slice(NAME.length + 1) },
        ],
      })
    })

    test.each([
      ['/guarded/rewrite', ''],
      ['/guarded/headers', 'by the app'],
    ])('rewrites to a page that sees the new cookie: %s', async (path, added) => {
      const { session, cookie } = await app.signIn()
      const { lines, body } = await send(path, cookie)
      expect(textOf(body, 'header')).toBe(keep(cookie, lines))
      expect(textOf(body, 'header')).not.toBe(cookie)
      expect(textOf(body, 'session')).toBe(session.session_id)
      expect(textOf(body, 'added') ?? '').toBe(added)
    })

    test('lets nobody in by another value', async () => {
      const { cookie } = await app.signIn()
      expect((await send('/guarded/wrong', cookie)).status).toBe(500)
    })
  })

  describe('claims and cookies that the app sets', () => {
    test.each([
      ['short', 'pro'],
      ['so long that the cookie is cut', 'pro'.repeat(1500)],
    ])('a route handler that changes a claim sees it: %s', async (_, plan) => {
      const { session, cookie } = await app.signIn()
      const { lines, body } = await send('/api/claims', cookie, json({ plan }))
      const [before, returned, after] = JSON.parse(body)
      expect(before.user.plan).toBeUndefined()
      expect(returned).toMatchObject({ session_id: session.session_id, user: { plan } })
      expect(after).toEqual(returned)
      for (const line of lines) expect(line).toMatch(/; Path=\/; Expires=[^;]+; (Max-Age=0; )?HttpOnly; SameSite=lax$/i)
      const read = await send('/api/auth/session', keep(cookie, lines))
      expect(JSON.parse(read.body)).toEqual(returned)
    })

    test('nobody has no claims', async () => {
      const { lines, body } = await send('/api/claims', 'theme=dark', json({ plan: 'pro' }))
      expect({ lines, body }).toEqual({ lines: [], body: '[null,null,null]' })
    })

    test('the page after an action that changed a claim shows it in the same response', async () => {
      const { session, cookie } = await app.signIn()
      const page = await send('/cookies', cookie)
      expect(textOf(page.body, 'plan')).toBe('none')
      const renewed = keep(cookie, page.lines)
      const form = new FormData()
      form.set(page.body.match(/name="(\$ACTION_ID_\w+)"/)?.[1] ?? 'no action', '')
      const after = await send('/cookies', renewed, { method: 'POST', body: form })
      expect(textOf(after.body, 'plan')).toBe('enterprise')
      expect(textOf(after.body, 'session')).toBe(session.session_id)
      expect(textOf(after.body, 'header')).toBe(renewed)
      expect(after.lines.filter(isRolled)).toHaveLength(1)
      expect(after.caching).toContain('no-store')
      expect(textOf((await send('/cookies', keep(renewed, after.lines))).body, 'plan')).toBe('enterprise')
    })

    test('cookies are set with all attributes, and only when they change', async () => {
      const lines = [
        'same=a%20b; Path=/',
        'other=2; Path=/app; Expires=Fri, 27 Nov 2099 12:00:00 GMT; Domain=app.example; Secure; HttpOnly; Partitioned; SameSite=None',
        'gone=; Max-Age=0; Path=/; HttpOnly',
        'never-there=; Max-Age=0; Path=/',
        'twice=1; Path=/',
        'twice=2; Path=/',
        'twice=2; Path=/',
      ]
      const sent = await send('/api/lines', 'same=a%20b; other=1; gone=1; twice=2', json(lines))
      expect(sent.status).toBe(200)
      expect(sent.lines.map((line) => line.split('; ').sort())).toEqual([
        lines[1]
          ?.split('; ')
          .map((part) => part.replace('None', 'none'))
          .sort(),
        ['Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'HttpOnly', 'Max-Age=0', 'Path=/', 'gone='],
        ['Path=/', 'twice=2'],
      ])
    })
  })

  describe('in an outage', () => {
    let without: Awaited<ReturnType<App['start']>>
    let cookie: string
    beforeAll(async () => {
      cookie = (await app.signIn()).cookie
      // Two of `next dev` can't share a folder.
      await app.stopAll()
      without = await start({ DATABASE_URL: `postgres://postgres@127.0.0.1:${await freePort()}/postgres` })
    })

    test('instrumentation.ts logs it before the first request', async () => {
      await expect.poll(without.output).toContain('ERR_AUTH_BRIDGE_DATABASE')
      expect(without.output()).not.toContain('failed to get the session')
    })

    test('without authorized the request goes on, and auth() of the page decides', async () => {
      const page = await send('/static', cookie, {}, without.origin)
      expect(page).toMatchObject({ status: 200, lines: [], body: expect.stringContaining('The same for everybody') })
      expect((await send('/cookies', cookie, {}, without.origin)).status).toBe(500)
      expect(without.output()).toContain('authjs-bridge: failed to get the session: ERR_AUTH_BRIDGE_DATABASE')
    })

    test('with authorized it is answered by 503, and nobody is signed out', async () => {
      for (const path of ['/guarded', '/guarded/signin', '/guarded/response']) {
        const { status, lines, caching, headers, location } = await send(path, cookie, {}, without.origin)
        expect({ status, lines, caching, location }).toEqual({
          status: 503,
          lines: [],
          caching: NOT_CACHEABLE,
          location: null,
        })
        expect(headers.get('retry-after')).toBe('5')
      }
      expect((await send('/guarded', undefined, {}, without.origin)).status).toBe(307)
    })

    test('sign-ins are let through to Auth.js', async () => {
      expect((await send('/api/auth/callback/test', cookie, {}, without.origin)).lines).toHaveLength(1)
    })
  })
}
