import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { Auth } from '@auth/core'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { AuthBridge } from '../index.js'
import { createSessions, type RouteOptions, type SessionsBridge, type SessionsOptions } from '../next/index.js'
import { SECRET } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { freePort } from './support/postgres.mjs'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const database = useDatabase()
let bridge: AuthBridge
let unreachable: AuthBridge
let cookie: string
let user: Awaited<ReturnType<typeof createUser>>
let session: Awaited<ReturnType<typeof createSession>>
beforeAll(async () => {
  bridge = new AuthBridge({ secret: SECRET, databaseUrl: database.url, secureCookie: false })
  const databaseUrl = `postgres://postgres@127.0.0.1:${await freePort()}/postgres`
  unreachable = new AuthBridge({ secret: SECRET, databaseUrl, secureCookie: false })
  user = await createUser(database.client)
  session = await createSession(database.client, user)
  cookie = await mintCookie(claimsOf(user, session), { secret: SECRET })
})
afterAll(() => Promise.all([bridge.close(), unreachable.close()]))
afterEach(() => vi.restoreAllMocks())

function request(header?: string) {
  return new Request('http://localhost:3000/api/auth/session', { headers: header ? { cookie: header } : {} })
}

interface Asked extends RouteOptions {
  bridge?: SessionsBridge
  /** More of the request. */
  init?: RequestInit
}

function routeOf({ bridge, init, ...options }: Asked) {
  return createSessions(bridge && { bridge }).route(options)
}

async function get(asked: Asked, header?: string) {
  const response = await routeOf(asked).GET(new Request(request(header), asked.init))
  return { status: response.status, body: await response.text(), headers: Object.fromEntries(response.headers) }
}

describe('the route', () => {
  test('sends the JSON of a live session', async () => {
    const { status, body } = await get({ bridge }, cookie)
    expect(status).toBe(200)
    expect(body).toBe(await bridge.getSessionJson(cookie))
    expect(JSON.parse(body).session_id).toBe(session.session_id)
  })

  test.each([
    ['no cookie', () => undefined],
    ['a cookie that is not a token', () => 'authjs.session-token=x.y.z'],
    ['a cookie that was changed', () => `${cookie}x`],
  ])('sends {} for %s', async (_, header) => {
    expect(await get({ bridge }, header())).toMatchObject({ status: 200, body: '{}' })
    expect(await get({ bridge, unauthenticated: 'empty' }, header())).toMatchObject({ status: 200, body: '{}' })
    expect(await get({ bridge, unauthenticated: 'null' }, header())).toMatchObject({ status: 200, body: 'null' })
  })

  test('sends a live session unchanged with unauthenticated: null', async () => {
    const { body } = await get({ bridge, unauthenticated: 'null' }, cookie)
    expect(body).toBe(await bridge.getSessionJson(cookie))
  })

  test.each([
    ['a session', () => cookie],
    ['none', () => undefined],
  ])('sends the headers of Auth.js, but no cookie, for %s', async (_, header) => {
    const theirs = await Auth(request(header()), {
      secret: SECRET,
      trustHost: true,
      providers: [],
      basePath: '/api/auth',
    })
    expect(theirs.status).toBe(200)
    expect(theirs.headers.get('set-cookie')?.includes('session-token=')).toBe(header() !== undefined)
    theirs.headers.delete('set-cookie')
    expect((await get({ bridge }, header())).headers).toEqual(Object.fromEntries(theirs.headers))
  })

  test('sends 500 in an outage, and logs the code but nothing of the request', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    const answer = await get({ bridge: unreachable }, `theme=darkness; ${cookie}`)
    expect(answer.status).toBe(500)
    expect(answer.body).toBe('{"error":"failed_to_get_session"}')
    expect(answer.headers).toEqual((await get({ bridge }, cookie)).headers)
    const logged = log.mock.calls.flat().join()
    expect(logged).toMatch(/^authjs-bridge: failed to get the session: ERR_AUTH_BRIDGE_DATABASE: /)
    const parts = cookie.split(/[=.]/).filter((part) => part.length > 20)
    expect(parts.length).toBeGreaterThan(3)
    const claims = Object.values(claimsOf(user, session)).filter((claim) => String(claim).length > 10)
    for (const secret of [...parts, ...claims, 'darkness', SECRET]) expect(logged).not.toContain(secret)
  })

  test('does not log the text of other errors', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    const fail = (header?: string | null) => Promise.reject(new Error(`bad: ${header}`))
    const bad = { getSession: fail, getSessionJson: fail, refreshSession: fail, updateSession: fail }
    for (const rolling of [false, true]) expect((await get({ bridge: bad, rolling }, cookie)).status).toBe(500)
    expect(log.mock.calls).toEqual(Array(2).fill(['authjs-bridge: failed to get the session: unknown error']))
  })

  test('reads the environment at the first request, not earlier', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    expect((await get({}, cookie)).status).toBe(500)
    expect(log.mock.calls.flat().join()).toContain('ERR_AUTH_BRIDGE_CONFIG: secret: is missing')
  })
})

describe('the route with rolling: true', () => {
  const roll = (header?: string, init?: RequestInit) => get({ bridge, rolling: true, init }, header)

  test('sends a new cookie with the session, and the response is not cacheable', async () => {
    const { status, body, headers } = await roll(cookie)
    expect(status).toBe(200)
    expect(JSON.parse(body)).toEqual(await bridge.getSession(cookie))
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'private, no-cache, no-store, max-age=0',
      'set-cookie': expect.stringMatching(/^authjs\.session-token=ey/),
    })
    expect(headers['set-cookie']).not.toContain(cookie)
  })

  test('deletes the cookie of a revoked session', async () => {
    const revoked = await createSession(database.client, user, { revoked_at: new Date() })
    const { body, headers } = await roll(await mintCookie(claimsOf(user, revoked), { secret: SECRET }))
    expect(body).toBe('{}')
    expect(headers['set-cookie']).toMatch(/^authjs\.session-token=; Max-Age=0; /)
  })

  test.each<[string, () => string | undefined, RequestInit]>([
    ['Purpose: prefetch', () => cookie, { headers: { purpose: 'prefetch' } }],
    ['Sec-Purpose: prefetch;prerender', () => cookie, { headers: { 'sec-purpose': 'prefetch;prerender' } }],
    ['no cookie', () => undefined, {}],
  ])('sends none for %s', async (_, header, { headers }) => {
    const given = new Headers(headers)
    if (header()) given.set('cookie', header() ?? '')
    const sent = await roll(undefined, { headers: given })
    expect(JSON.parse(sent.body)).toEqual(await bridge.getSession(header()))
    expect(sent.headers).toEqual((await get({ bridge }, header())).headers)
  })

  test('sends 500 in an outage', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {})
    expect(await get({ bridge: unreachable, rolling: true }, cookie)).toEqual(
      await get({ bridge: unreachable }, cookie),
    )
  })
})

describe('a wrong option is an error that names it', () => {
  const bare = { getSession() {}, getSessionJson() {}, refreshSession() {} }

  test.each<[unknown, string | RegExp]>([
    ['null', 'options: must be an object, not string'],
    [null, 'options: must be an object, not null'],
    [{ bridge: undefined }, 'bridge: is undefined; give it a value, or leave it out'],
    [{ bridge: null }, 'bridge: must be an AuthBridge, not null'],
    [{ bridge: AuthBridge }, 'bridge: must be an AuthBridge, not function'],
    [{ bridge: bare }, 'bridge: must be an AuthBridge, not object'],
    [{ authorized: true }, 'authorized: must be a function, not boolean'],
    [{ authorized: undefined }, 'authorized: is undefined; give it a value, or leave it out'],
    [{ signInPage: '' }, 'signInPage: must be a path such as /signin'],
    [{ signInPage: 'signin' }, 'signInPage: must be a path such as /signin'],
    [{ signInPage: '/signin/' }, 'signInPage: must be a path such as /signin'],
    [{ signInPage: '//evil.example' }, 'signInPage: must be a path such as /signin'],
    [{ signInPage: '/\\evil.example' }, 'signInPage: must be a path such as /signin'],
    [{ signInPage: 'https://sso.example/signin' }, 'signInPage: must be a path such as /signin'],
    [{ signInPage: '/signin?from=app' }, 'signInPage: must be a path such as /signin'],
    [{ basePath: '/' }, 'basePath: must be a path such as /api/auth'],
    [{ basePath: '/api/auth/' }, 'basePath: must be a path such as /api/auth'],
    [{ basePath: null }, 'basePath: must be a path such as /api/auth'],
    [{ secret: '' }, 'secret: is an empty string; pass the value of AUTH_SECRET'],
    [{ secret: undefined }, 'secret: is undefined; give it a value, or leave it out'],
    [{ rolling: true }, /^rolling: is not an option; .*listenUrl; and bridge, authorized, signInPage, basePath$/],
    [{ toString: 1 }, /^toString: is not an option; /],
  ])('of createSessions: %j', (options, message) => {
    expect(() => createSessions(options as SessionsOptions)).toThrow(
      expect.objectContaining({
        code: 'ERR_AUTH_BRIDGE_CONFIG',
        message: typeof message === 'string' ? message : expect.stringMatching(message),
      }),
    )
  })

  test('of createSessions, beside a bridge', () => {
    const options = { bridge, secret: SECRET } as object
    const message = 'secret: is an option of the bridge, which is given; leave one of them out'
    expect(() => createSessions(options)).toThrow(expect.objectContaining({ code: 'ERR_AUTH_BRIDGE_CONFIG', message }))
  })

  test('of createSessions, beside options in the variable, which would be lost', () => {
    vi.stubEnv('AUTH_BRIDGE_OPTIONS', '{ "multiTenant": false }')
    onTestFinished(() => void vi.unstubAllEnvs())
    const message =
      'maxAge: must stand in AUTH_BRIDGE_OPTIONS, which is set, or pass a bridge with all options as bridge'
    expect(() => createSessions({ maxAge: 60, signInPage: '/signin' })).toThrow(
      expect.objectContaining({ code: 'ERR_AUTH_BRIDGE_CONFIG', message }),
    )
    expect(() => createSessions({ signInPage: '/signin' })).not.toThrow()
    expect(() => createSessions({ bridge })).not.toThrow()
  })

  test.each<[unknown, string]>([
    ['null', 'options: must be an object, not string'],
    [{ unauthenticated: null }, 'unauthenticated: must be "empty" or "null"'],
    [{ unauthenticated: '{}' }, 'unauthenticated: must be "empty" or "null"'],
    [{ unauthenticated: undefined }, 'unauthenticated: is undefined; give it a value, or leave it out'],
    [{ rolling: 'true' }, 'rolling: must be a boolean, not string'],
    [{ unauthorized: 'null' }, 'unauthorized: is not an option; the options are rolling and unauthenticated'],
    [{ toString: 'null' }, 'toString: is not an option; the options are rolling and unauthenticated'],
  ])('of route: %j', (options, message) => {
    expect(() => createSessions().route(options as RouteOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_AUTH_BRIDGE_CONFIG', message }),
    )
  })

  test.each<[unknown, string]>([
    [undefined, 'lines: must be an array of strings'],
    ['a=1', 'lines: must be an array of strings'],
    [['a=1', 'HttpOnly'], 'lines: must be an array of values of Set-Cookie; the one at 1 has no name'],
    [[7], 'lines: must be an array of values of Set-Cookie; the one at 0 has no name'],
  ])('of setCookies: %j', async (lines, message) => {
    await expect(createSessions().setCookies(lines as string[])).rejects.toMatchObject({
      code: 'ERR_AUTH_BRIDGE_ARGUMENT',
      message,
    })
  })
})

describe('the clients of Auth.js', () => {
  let server: Server
  let options: Asked
  beforeAll(async () => {
    server = createServer(async (incoming, outgoing) => {
      const response = await routeOf(options).GET(request(incoming.headers.cookie))
      outgoing.writeHead(
        incoming.url === '/api/auth/session' ? response.status : 404,
        Object.fromEntries(response.headers),
      )
      outgoing.end(await response.text())
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    vi.stubEnv('NEXTAUTH_URL', `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/auth`)
  })
  afterAll(() => {
    vi.unstubAllEnvs()
    server.close()
  })

  /** The session that a client reads from the route, and whether it logs an error. */
  async function read(version: 4 | 5, of: Asked, header?: string) {
    const errors = vi.spyOn(console, 'error').mockImplementation(() => {})
    options = of
    const { getSession } = version === 4 ? await import('next-auth-4/react') : await import('next-auth-5/react')
    const headers = { cookie: header }
    const found = await getSession({ req: { headers }, headers, broadcast: false } as object)
    return { session: found, complains: errors.mock.calls.length > 0 }
  }

  test.each([4, 5] as const)('next-auth %i sees a live session', async (version) => {
    const expected = { session: await bridge.getSession(cookie), complains: false }
    expect(await read(version, { bridge }, cookie)).toEqual(expected)
    expect(await read(version, { bridge, unauthenticated: 'null' }, cookie)).toEqual(expected)
  })

  test('next-auth 4 treats {} as signed out, and logs an error for null', async () => {
    expect(await read(4, { bridge })).toEqual({ session: null, complains: false })
    expect(await read(4, { bridge, unauthenticated: 'null' })).toEqual({ session: null, complains: true })
  })

  test('next-auth 5 treats null as signed out, and {} as a session', async () => {
    expect(await read(5, { bridge, unauthenticated: 'null' })).toEqual({ session: null, complains: false })
    expect(await read(5, { bridge })).toEqual({ session: {}, complains: false })
  })

  test.each([4, 5] as const)('next-auth %i treats an outage as signed out, and logs an error', async (version) => {
    expect(await read(version, { bridge: unreachable }, cookie)).toEqual({ session: null, complains: true })
  })
})

describe('where no native module can be loaded', () => {
  const root = fileURLToPath(new URL('..', import.meta.url))

  test.each(['edge-light', 'worker', 'browser'])('the import throws under the condition %s', (condition) => {
    for (const name of ['authjs-bridge', 'authjs-bridge/next']) {
      const script = `try { require('${name}') } catch ({ code, message }) { console.log(code, message) }`
      const printed = execFileSync(process.execPath, [`--conditions=${condition}`, '-e', script], { cwd: root })
      expect(printed.toString()).toMatch(/^ERR_AUTH_BRIDGE_CONFIG authjs-bridge is a native module, .*'nodejs'/s)
    }
  })
})
