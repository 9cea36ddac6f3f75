import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { Auth } from '@auth/core'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { AuthBridge } from '../index.js'
import { createAuth, createSessionRoute, type SessionRouteOptions } from '../next/index.js'
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

async function get(options: SessionRouteOptions, header?: string) {
  const response = await createSessionRoute(options).GET(request(header))
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
    const getSessionJson = (header?: string | null) => Promise.reject(new Error(`bad: ${header}`))
    expect((await get({ bridge: { getSessionJson } }, cookie)).status).toBe(500)
    expect(log.mock.calls).toEqual([['authjs-bridge: failed to get the session: unknown error']])
  })

  test('reads the environment at the first request, not earlier', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    expect((await get({}, cookie)).status).toBe(500)
    expect(log.mock.calls.flat().join()).toContain('ERR_AUTH_BRIDGE_CONFIG: secret: is missing')
  })
})

describe('a wrong option is an error that names it', () => {
  test.each<[unknown, string]>([
    ['null', 'options: must be an object, not string'],
    [null, 'options: must be an object, not null'],
    [{ unauthenticated: null }, 'unauthenticated: must be "empty" or "null"'],
    [{ unauthenticated: '{}' }, 'unauthenticated: must be "empty" or "null"'],
    [{ unauthorized: 'null' }, 'unauthorized: is not an option; the options are bridge and unauthenticated'],
    [{ toString: 'null' }, 'toString: is not an option; the options are bridge and unauthenticated'],
    [{ bridge: null }, 'bridge: must be an AuthBridge, not null'],
    [{ bridge: AuthBridge }, 'bridge: must be an AuthBridge, not function'],
    [{ bridge: { getSession() {} } }, 'bridge: must be an AuthBridge, not object'],
  ])('of createSessionRoute: %j', (options, message) => {
    expect(() => createSessionRoute(options as SessionRouteOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_AUTH_BRIDGE_CONFIG', message }),
    )
  })

  test.each<[unknown, string]>([
    [{ unauthenticated: 'null' }, 'unauthenticated: is not an option; the options are bridge'],
    [{ bridge: 'postgres://' }, 'bridge: must be an AuthBridge, not string'],
  ])('of createAuth: %j', (options, message) => {
    expect(() => createAuth(options as object)).toThrow(
      expect.objectContaining({ code: 'ERR_AUTH_BRIDGE_CONFIG', message }),
    )
  })

  test('that is given, but is undefined', () => {
    const options = { bridge: undefined }
    const message = 'bridge: is undefined; give it a value, or leave it out'
    for (const create of [createSessionRoute, createAuth]) expect(() => create(options)).toThrow(message)
  })
})

describe('the clients of Auth.js', () => {
  let server: Server
  let options: SessionRouteOptions
  beforeAll(async () => {
    server = createServer(async (incoming, outgoing) => {
      const response = await createSessionRoute(options).GET(request(incoming.headers.cookie))
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
  async function read(version: 4 | 5, of: SessionRouteOptions, header?: string) {
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
