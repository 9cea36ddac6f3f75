// What `withSessions` makes of a configuration, and what it refuses.

import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { type AuthBridge, type AuthBridgeOptions, defaultBridge } from '../index.js'
import { withSessions } from '../next-auth/index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { NextAuth5, NextRequest } from './support/next-auth-5.js'
import { freePort } from './support/postgres.mjs'

const DAY = 86_400
const V4 = { cookieName: 'next-auth.session-token' }
const CONFIG = 'ERR_AUTH_BRIDGE_CONFIG'

const open = useBridges()
const connect = (options: AuthBridgeOptions = {}) =>
  open('postgres://localhost:1/none', { secureCookie: false, ...options })
const connect4 = () => open('postgres://localhost:1/none', V4)
afterEach(() => vi.unstubAllEnvs())

/** What Auth.js reads. */
function settings(config: object, bridge: AuthBridge) {
  const { secret, session, jwt, cookies } = withSessions(config, { bridge }) as Record<string, unknown>
  return { secret, session, jwt, cookies }
}

describe('the bridge is the source of', () => {
  const attributes = { httpOnly: true, sameSite: 'lax', path: '/', secure: false }
  const expected = {
    secret: SECRET,
    session: { strategy: 'jwt', maxAge: 30 * DAY },
    jwt: { maxAge: 30 * DAY },
    cookies: { sessionToken: { name: 'authjs.session-token', options: attributes } },
  }

  test.each<[string, object, () => AuthBridge, object]>([
    ['all settings', {}, () => connect(), {}],
    [
      'the age',
      { session: { updateAge: 7 } },
      () => connect({ maxAge: 60 }),
      { session: { updateAge: 7, strategy: 'jwt', maxAge: 60 }, jwt: { maxAge: 60 } },
    ],
    [
      'all but the age, which the app may choose',
      { session: { maxAge: DAY } },
      () => connect(),
      { session: { strategy: 'jwt', maxAge: DAY }, jwt: { maxAge: DAY } },
    ],
    [
      'several secrets',
      { secret: ['new', 'old'] },
      () => connect({ secret: ['new', 'old'] }),
      { secret: ['new', 'old'] },
    ],
    [
      'the cookie',
      { cookies: { csrfToken: { name: 'csrf' } } },
      () =>
        connect({
          cookie: { domain: 'example.com', sameSite: 'strict', secure: true, partitioned: true, path: '/app' },
        }),
      {
        cookies: {
          csrfToken: { name: 'csrf' },
          sessionToken: {
            name: 'authjs.session-token',
            options: {
              httpOnly: true,
              sameSite: 'strict',
              path: '/app',
              secure: true,
              domain: 'example.com',
              partitioned: true,
            },
          },
        },
      },
    ],
    [
      'settings that agree with it',
      {
        secret: SECRET,
        session: { strategy: 'jwt', maxAge: 30 * DAY },
        jwt: { maxAge: 30 * DAY },
        cookies: { sessionToken: { name: 'authjs.session-token', options: { ...attributes, partitioned: false } } },
      },
      () => connect(),
      {},
    ],
    [
      'the one secret that next-auth 4 takes',
      {},
      () => open('postgres://localhost:1/none', { ...V4, secret: ['new', 'old'] }),
      { secret: 'new', cookies: { sessionToken: { name: 'next-auth.session-token', options: attributes } } },
    ],
  ])('%s', (_, config, bridge, more) => {
    expect(settings(config, bridge())).toEqual({ ...expected, ...more })
  })

  test.each<[string, Record<string, string>, AuthBridgeOptions, string]>([
    ['https', { AUTH_URL: 'https://a.example' }, {}, '__Secure-authjs.session-token'],
    ['http', { AUTH_URL: 'http://a.example' }, {}, 'authjs.session-token'],
    ['development without a URL', {}, {}, 'authjs.session-token'],
    ['production without a URL', { NODE_ENV: 'production' }, {}, '__Secure-authjs.session-token'],
    [
      'https, of several',
      { NEXTAUTH_URL: 'https://a.example' },
      { cookieName: ['next-auth.session-token', '__Secure-next-auth.session-token'] },
      '__Secure-next-auth.session-token',
    ],
    [
      'http, of several',
      { NEXTAUTH_URL: 'http://a.example' },
      { cookieName: ['__Secure-next-auth.session-token', 'next-auth.session-token'] },
      'next-auth.session-token',
    ],
  ])('the name of the cookie over %s', (_, env, options, name) => {
    for (const [variable, value] of Object.entries(env)) vi.stubEnv(variable, value)
    expect(settings({}, open('postgres://localhost:1/none', options)).cookies).toMatchObject({ sessionToken: { name } })
  })
})

describe('a configuration that contradicts the bridge is refused', () => {
  test.each<[object, string, (() => AuthBridge)?]>([
    [{ session: { strategy: 'database' } }, 'session.strategy: must be "jwt"'],
    [{ jwt: { encode() {} } }, 'jwt.encode: must be left out'],
    [{ jwt: { decode() {} } }, 'jwt.decode: must be left out'],
    [{ jwt: { maxAge: 60 } }, 'jwt.maxAge: is 60, but the age of the session is 2592000; leave it out here'],
    [{ jwt: { maxAge: 60 }, session: { maxAge: 61 } }, 'jwt.maxAge: is 60, but the age of the session is 61'],
    [
      { session: { maxAge: 60 } },
      'session.maxAge: is 60, but the option maxAge of the bridge is 61',
      () => connect({ maxAge: 61 }),
    ],
    [{ secret: 'hunter2' }, 'secret: is not that of the bridge; leave it out, or give it to the bridge as well'],
    [{ secret: [SECRET, 'hunter2'] }, 'secret: is not that of the bridge'],
    [{ jwt: { secret: 'hunter2' } }, 'jwt.secret: is not that of the bridge', connect4],
    [
      { cookies: { sessionToken: { name: 'sid' } } },
      'cookies.sessionToken.name: is "sid", but the cookie of the bridge is "authjs.session-token"',
    ],
    [
      { cookies: { sessionToken: { options: { domain: 'a.example' } } } },
      'cookies.sessionToken.options.domain: is "a.example", but the option cookie of the bridge is undefined',
    ],
    [
      { cookies: { sessionToken: { options: { httpOnly: false } } } },
      'cookies.sessionToken.options.httpOnly: is false',
    ],
  ])('%j', (config, message, bridge = connect) => {
    const refused = expect(() => withSessions(config, { bridge: bridge() }))
    refused.toThrow(expect.objectContaining({ code: CONFIG, message: expect.stringContaining(message) }))
    refused.not.toThrow('hunter2')
  })
})

test.each<[unknown, unknown, string]>([
  [undefined, {}, 'config: must be the configuration of NextAuth, not undefined'],
  [{}, null, 'options: must be an object, not null'],
  [{}, { bridges: 1 }, 'bridges: is not an option; the options are bridge and identify and adopt'],
  [{}, { bridge: {} }, 'bridge: must be an AuthBridge, not object'],
  [{}, { identify: 'x' }, 'identify: must be a function, not string'],
  [{}, { adopt: undefined }, 'adopt: is undefined'],
  [{}, { adopt: { until: '2030-01-01' } }, 'adopt: must be an object with the key until, a valid Date'],
  [{}, { adopt: { until: new Date('x') } }, 'adopt: must be'],
  [{}, { adopt: { until: new Date(), from: 1 } }, 'adopt: must be'],
  [{}, { trustedProxyHeader: 'x: y' }, 'trustedProxyHeader: must be the name of a header'],
  [{}, { maxSessions: 0 }, 'maxSessions: must be a whole number from 1 on'],
  [{}, { maxSessions: 2, whenFull: 'no' }, 'whenFull: must be "revoke-oldest" or "refuse"'],
  [{}, { whenFull: 'refuse' }, 'whenFull: needs maxSessions'],
  [{}, { req: { headers: {} } }, 'res: is missing: an API route gives both'],
  [{}, { res: { appendHeader() {} } }, 'req: is missing'],
  [{}, { req: {}, res: {} }, 'req: must be the request'],
])('withSessions(%j, %j) is refused', (config, options, message) => {
  const call = () => withSessions(config as object, options as object)
  expect(call).toThrow(expect.objectContaining({ code: CONFIG, message: expect.stringContaining(message) }))
})

describe('where the environment is not complete, as in next build,', () => {
  const request = () => new NextRequest('http://localhost:3000/api/auth/session')

  test.each<[string, (config: object) => object]>([
    ['an object', (config) => withSessions(config)],
    ['a function', (config) => withSessions(async () => config)],
  ])('%s can be imported, and the first request says what is missing', async (_, wrap) => {
    onTestFinished(() => defaultBridge().close())
    const { GET } = NextAuth5(wrap({ providers: [], trustHost: true }) as never).handlers
    const refuses = (problem: RegExp) =>
      expect(GET(request())).rejects.toMatchObject({ code: CONFIG, message: expect.stringMatching(problem) })
    await refuses(/^secret: is missing/)
    vi.stubEnv('AUTH_SECRET', SECRET)
    await refuses(/^databaseUrl: /)
    vi.stubEnv('DATABASE_URL', `postgres://localhost:${await freePort()}/none`)
    const response = await GET(request())
    expect([response.status, await response.json()]).toEqual([200, null])
  })
})

test('a sign-in outside a request that is known says what to write', async () => {
  const { callbacks } = withSessions(
    { callbacks: {} as Record<string, (params: object) => Promise<unknown>> },
    { bridge: connect() },
  )
  await expect(callbacks.jwt?.({ token: {}, user: {} })).rejects.toMatchObject({
    code: CONFIG,
    message: 'req: is missing: in the Pages Router, write NextAuth(req, res, withSessions(config, { req, res }))',
  })
})

test.each(['edge-light', 'worker', 'browser'])('an import with the condition %s throws', (condition) => {
  const script = `import('authjs-bridge/next-auth').catch(({ code, message }) => console.log(code, message))`
  const printed = execFileSync(process.execPath, ['-C', condition, '-e', script], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    encoding: 'utf8',
  })
  expect(printed).toContain(`${CONFIG} authjs-bridge/next-auth can't be used on the edge runtime`)
  expect(printed).toContain('Call withSessions() in auth.ts, not in an auth.config.ts')
})
