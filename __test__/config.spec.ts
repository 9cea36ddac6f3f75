import { describe, expect, test, vi } from 'vitest'
import { AuthBridge, getSession } from '../index.js'

const COMPLETE = { secret: 'the secret of the test, 32 bytes', databaseUrl: 'postgres://user:hunter2@127.0.0.1:1/app' }

/** The error that `new AuthBridge(options)` throws. */
function constructorError(options: unknown) {
  try {
    new AuthBridge(options as typeof COMPLETE)
  } catch (error) {
    expect(error).toBeInstanceOf(Error)
    return error as Error & { code: string }
  }
  throw new Error('the options were accepted')
}

describe('new AuthBridge', () => {
  test("doesn't connect, and needs no close", () => {
    expect(new AuthBridge(COMPLETE)).toBeInstanceOf(AuthBridge)
  })

  // A check that relies on such an option would vanish silently.
  describe.each([undefined, null])('an option that is given, but is %s', (nothing) => {
    test.each([
      ...['secret', 'cookieName', 'secureCookie', 'databaseUrl', 'tls', 'preparedStatements', 'sharded'],
      ...['ignoreExpiresAt', 'tables', 'multiTenant', 'userCheck', 'extraClaims', 'freshClaims', 'expires'],
      ...['maxAge', 'absoluteMaxAge', 'updateAge', 'cookie', 'migrateCookies'],
      ...['connectTimeout', 'queryTimeout', 'callTimeout', 'maxConnections', 'maxWaiting', 'maxStaleness', 'maxCached'],
      ...['listen', 'listenUrl'],
      ...['tls.ca', 'tables.sessions', 'tables.users', 'cookieName.name', 'cookieName.issuer'],
      ...['cookie.domain', 'cookie.path', 'cookie.sameSite', 'cookie.secure', 'cookie.partitioned'],
    ])('%s', (name) => {
      const [option = '', key] = name.split('.')
      const value = key ? { name: 'a', [key]: nothing } : nothing
      const isObject = key && ['tls', 'tables', 'cookie'].includes(option)
      const options = { ...COMPLETE, [option]: isObject ? { [key]: nothing } : value }
      expect(constructorError(options)).toMatchObject({
        code: 'ERR_AUTH_BRIDGE_CONFIG',
        message: `${name}: is ${nothing}; give it a value, or leave it out`,
      })
    })
  })

  test.each([
    ['empty secret', { ...COMPLETE, secret: '' }, 'secret: is an empty string'],
    ['empty list of secrets', { ...COMPLETE, secret: [] }, 'secret: is an empty list'],
    ['empty secret in the list', { ...COMPLETE, secret: ['a', ''] }, 'secret: is an empty string'],
    ['secret of the wrong type', { ...COMPLETE, secret: 7 }, 'secret: must be a string, not number'],
    [
      'secret of the wrong type in the list',
      { ...COMPLETE, secret: ['a', null] },
      'secret: must be a string, not null',
    ],
    ['no database URL', { ...COMPLETE, databaseUrl: 'mysql://localhost' }, 'databaseUrl: must begin with postgres://'],
    ['empty database URL', { ...COMPLETE, databaseUrl: '' }, 'databaseUrl: must begin with postgres://'],
    [
      'database URL of the wrong type',
      { ...COMPLETE, databaseUrl: new URL('postgres://a') },
      'databaseUrl: must be a string, not object',
    ],
    [
      'misspelled parameter in the URL',
      { ...COMPLETE, databaseUrl: 'postgres://a/b?sslmod=verify-full' },
      'databaseUrl: sslmod is unknown; sslmode is probably meant',
    ],
    [
      'unknown sslmode',
      { ...COMPLETE, databaseUrl: 'postgres://a/b?sslmode=on' },
      'sslmode must be one of disable, allow, prefer',
    ],
    ['raw @ in the password', { ...COMPLETE, databaseUrl: 'postgres://user:hun@ter2@h/d' }, '%40'],
    ['bad cookie name', { ...COMPLETE, cookieName: 'a b' }, 'cookieName: is not a valid cookie name'],
    ['empty cookie name', { ...COMPLETE, cookieName: '' }, 'cookieName: '],
    ['cookie name of the wrong type', { ...COMPLETE, cookieName: 1 }, 'cookieName: must be a string, not number'],
    ['empty list of cookie names', { ...COMPLETE, cookieName: [] }, 'cookieName: is an empty list'],
    [
      'cookie without a name',
      { ...COMPLETE, cookieName: { issuer: 'authjs' } },
      'cookieName: is not a valid cookie name',
    ],
    ['unknown issuer', { ...COMPLETE, cookieName: { name: 'a', issuer: 'x' } }, 'cookieName: has an issuer that'],
    [
      'unknown key of a cookie',
      { ...COMPLETE, cookieName: [{ name: 'a', salt: '' }] },
      'cookieName.salt: is not an option; the options are name and issuer',
    ],
    ['cookieName beside secureCookie', { ...COMPLETE, cookieName: 'a', secureCookie: true }, 'secureCookie: '],
    [
      'secureCookie of the wrong type',
      { ...COMPLETE, secureCookie: 'true' },
      'secureCookie: must be true or false, not string',
    ],
    [
      'ignoreExpiresAt of the wrong type',
      { ...COMPLETE, ignoreExpiresAt: 1 },
      'ignoreExpiresAt: must be true or false, not number',
    ],
    ...[0, -1, 1.5, Number.NaN, 600_001].map((value): [string, unknown, string] => [
      `callTimeout ${value}`,
      { ...COMPLETE, callTimeout: value },
      'callTimeout: must be a whole number of milliseconds from 1 to 600000',
    ]),
    ['maxConnections 0', { ...COMPLETE, maxConnections: 0 }, 'maxConnections: must be a whole number from 1 to 1000'],
    [
      'a negative maxLifetime',
      { ...COMPLETE, maxLifetime: -1 },
      'maxLifetime: must be a whole number of milliseconds from 0 to 604800000',
    ],
    ['idleTimeout as text', { ...COMPLETE, idleTimeout: '10s' }, 'idleTimeout: must be a number, not string'],
    ['maxWaiting as text', { ...COMPLETE, maxWaiting: '10' }, 'maxWaiting: must be a number, not string'],
    ['tls as text', { ...COMPLETE, tls: 'PEM' }, 'tls: must be an object with the key ca, not string'],
    ['tls that holds nothing', { ...COMPLETE, tls: {} }, 'tls: is empty; give it the key ca, or leave it out'],
    ['tls as a list', { ...COMPLETE, tls: [] }, 'tls: must be an object with the key ca, not an array'],
    ['unknown key of tls', { ...COMPLETE, tls: { cert: '' } }, 'tls.cert: is not an option'],
    ['a path for a certificate', { ...COMPLETE, tls: { ca: '/ca.pem' } }, 'tls.ca: must hold certificates as PEM'],
    [
      "certificates that the sslmode doesn't use",
      {
        ...COMPLETE,
        databaseUrl: 'postgres://a/b?sslmode=prefer',
        tls: { ca: '-----BEGIN CERTIFICATE-----' },
      },
      'tls.ca: has no effect with this sslmode',
    ],
    [
      'tables as a name',
      { ...COMPLETE, tables: 'sessions' },
      'tables: must be an object with the keys sessions and users, not string',
    ],
    ['tables that hold nothing', { ...COMPLETE, tables: {} }, 'tables: is empty; give it the key sessions or users'],
    ['unknown key of tables', { ...COMPLETE, tables: { user: 'u' } }, 'tables.user: is not an option'],
    ['a name with quotes', { ...COMPLETE, tables: { users: '"User"' } }, 'tables.users: must be the name of a table'],
    ['a cookie that holds nothing', { ...COMPLETE, cookie: {} }, 'cookie: is empty; give it a key, or leave it out'],
    ['unknown key of cookie', { ...COMPLETE, cookie: { maxAge: 1 } }, 'cookie.maxAge: is not an option'],
    [
      'a cookie that browsers drop',
      { ...COMPLETE, cookieName: '__Host-sid', cookie: { domain: 'a.example' } },
      'cookie.domain: is set, but a browser drops __Host-sid with a domain',
    ],
    ['maxAge in the wrong unit', { ...COMPLETE, maxAge: 2.6e9 }, 'maxAge: must be a whole number of seconds from 1 to'],
    ['updateAge as text', { ...COMPLETE, updateAge: '5m' }, 'updateAge: must be a number, not string'],
    [
      'migrateCookies with one name',
      { ...COMPLETE, cookieName: 'a', migrateCookies: true },
      'migrateCookies: needs several names in cookieName, the new one first',
    ],
    ['multiTenant as text', { ...COMPLETE, multiTenant: 'no' }, 'multiTenant: must be true or false, not string'],
    [
      'sharded without tenants',
      { ...COMPLETE, multiTenant: false, sharded: true },
      'sharded: needs tenants: leave it out, or set multiTenant to true',
    ],
    ['unknown userCheck', { ...COMPLETE, userCheck: 'row' }, "userCheck: must be 'type', 'exists' or 'none'"],
    ['extraClaims as a name', { ...COMPLETE, extraClaims: 'role' }, 'extraClaims: must be a list of names, not string'],
    ['no extraClaims', { ...COMPLETE, extraClaims: [] }, 'extraClaims: is empty; give it a name, or leave it out'],
    [
      'a documented field as an extra claim',
      { ...COMPLETE, extraClaims: ['role', 'email'] },
      'extraClaims: has email, which is not a claim of the app',
    ],
    [
      'an unknown fresh claim',
      { ...COMPLETE, freshClaims: ['plan', 'role'] },
      'freshClaims: has role, which is neither a field that can be fresh nor one of extraClaims',
    ],
    [
      'user_type fresh and compared',
      { ...COMPLETE, freshClaims: ['user_type'] },
      "freshClaims: has user_type, which is compared with the token's; set userCheck to 'exists'",
    ],
    [
      'fresh claims without users',
      { ...COMPLETE, freshClaims: ['plan'], userCheck: 'none' },
      "freshClaims: needs the users relation, which userCheck 'none' doesn't read",
    ],
    ['expires as a time', { ...COMPLETE, expires: 60 }, 'expires: must be true or false, not number'],
    ['sharded of the wrong type', { ...COMPLETE, sharded: 1 }, 'sharded: must be true or false, not number'],
    ['sharded without tenants', { ...COMPLETE, sharded: true, multiTenant: false }, 'sharded: needs tenants'],
    [
      'tables as text',
      { ...COMPLETE, tables: 'auth' },
      'tables: must be an object with the keys sessions and users, not string',
    ],
    ['tables that hold nothing', { ...COMPLETE, tables: {} }, 'tables: is empty; give it the key sessions or users'],
    [
      'unknown key of tables',
      { ...COMPLETE, tables: { session: 's' } },
      'tables.session: is not an option; the options',
    ],
    [
      'a table without a name',
      { ...COMPLETE, tables: { users: 'auth.' } },
      'tables.users: must be the name of a table',
    ],
    ['a table that is undefined', { ...COMPLETE, tables: { users: undefined } }, 'tables.users: is undefined'],
    ['multiTenant as text', { ...COMPLETE, multiTenant: 'no' }, 'multiTenant: must be true or false, not string'],
    ['unknown userCheck', { ...COMPLETE, userCheck: 'role' }, "userCheck: must be 'type', 'exists' or 'none'"],
    ['userCheck that is false', { ...COMPLETE, userCheck: false }, 'userCheck: must be a string, not boolean'],
    ['extraClaims as text', { ...COMPLETE, extraClaims: 'role' }, 'extraClaims: must be a list of names, not string'],
    ['no extraClaims', { ...COMPLETE, extraClaims: [] }, 'extraClaims: is empty; give it a name, or leave it out'],
    ['an extra claim that is documented', { ...COMPLETE, extraClaims: ['plan'] }, 'extraClaims: has plan, which is'],
    [
      'an extra claim of the wrong type',
      { ...COMPLETE, extraClaims: [7] },
      'extraClaims: must be a string, not number',
    ],
    ['a fresh claim that is none', { ...COMPLETE, freshClaims: ['role'] }, 'freshClaims: has role, which is neither'],
    ['a fresh user_type', { ...COMPLETE, freshClaims: ['user_type'] }, 'freshClaims: has user_type, which is compared'],
    [
      'fresh claims without users',
      { ...COMPLETE, freshClaims: ['plan'], userCheck: 'none' },
      'freshClaims: needs the users relation',
    ],
    ['expires as a number', { ...COMPLETE, expires: 1 }, 'expires: must be true or false, not number'],
    ['unknown option', { ...COMPLETE, secrets: 'a' }, 'secrets: is not an option; the options are secret, cookieName'],
    ['unknown option that is undefined', { ...COMPLETE, secrets: undefined }, 'secrets: is not an option'],
    ['a list', [], 'options: must be an object, not an array'],
    ['null', null, 'options: must be an object, not null'],
    ['a string', COMPLETE.databaseUrl, 'options: must be an object, not string'],
  ])('%s', (_, options, message) => {
    const error = constructorError(options)
    expect(error.code).toBe('ERR_AUTH_BRIDGE_CONFIG')
    expect(error.message).toContain(message)
    expect(error.message).not.toMatch(/hunter2|hun@|ter2/)
  })
})

describe('the first call', () => {
  const calls: [string, (bridge: AuthBridge) => unknown][] = [
    ['getSession', (bridge) => bridge.getSession('a=b')],
    ['getSessionJson', (bridge) => bridge.getSessionJson()],
    ['explainSession', (bridge) => bridge.explainSession()],
    ['health', (bridge) => bridge.health()],
    ['stats', async (bridge) => bridge.stats()],
  ]
  describe.each(calls)('%s', (_, call) => {
    test.each([
      [
        'no secret',
        { databaseUrl: COMPLETE.databaseUrl },
        'secret: is missing; set the environment variable AUTH_SECRET',
      ],
      ['no database', { secret: 'a' }, 'databaseUrl: is missing; set the environment variable DATABASE_URL'],
      [
        'unreadable sslrootcert',
        { ...COMPLETE, databaseUrl: 'postgres://a/b?sslmode=verify-full&sslrootcert=/nowhere.pem' },
        "databaseUrl: sslrootcert names a file that can't be read: ",
      ],
      [
        'sslmode without its sslrootcert',
        { ...COMPLETE, databaseUrl: 'postgres://a/b?sslmode=verify-ca' },
        'databaseUrl: sslmode needs sslrootcert',
      ],
    ])('%s: rejects, each time', async (_, options, message) => {
      const bridge = new AuthBridge(options)
      for (let time = 0; time < 2; time++) {
        const expected = { code: 'ERR_AUTH_BRIDGE_CONFIG', message: expect.stringContaining(message) }
        await expect(call(bridge)).rejects.toMatchObject(expected)
      }
    })
  })

  test('reads the environment of that moment, once it is complete', async () => {
    const bridge = new AuthBridge({ databaseUrl: COMPLETE.databaseUrl })
    await expect(bridge.getSession()).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_CONFIG' })
    vi.stubEnv('AUTH_SECRET', COMPLETE.secret)
    try {
      expect(bridge.stats().calls).toMatchObject({ unauthenticated: 0, failed: 0 })
      expect(await bridge.getSession()).toEqual({})
    } finally {
      vi.unstubAllEnvs()
    }
    expect(await bridge.getSession()).toEqual({})
    expect(bridge.stats().calls.unauthenticated).toBe(2)
  })
})

describe('getSession', () => {
  const bridge = new AuthBridge(COMPLETE)
  test.each([
    ['a number', 1, 'number'],
    ['the headers instead of the header', new Headers({ cookie: 'a=b' }), 'object'],
    ['an array', ['a=b'], 'object'],
    ['a symbol', Symbol('cookie'), 'symbol'],
  ])('%s for the cookie header', async (_, header, type) => {
    const expected = {
      code: 'ERR_AUTH_BRIDGE_ARGUMENT',
      message: expect.stringMatching(`^cookieHeader: .*, not ${type}$`),
    }
    await expect(bridge.getSession(header as unknown as string)).rejects.toMatchObject(expected)
    await expect(getSession(header as unknown as string)).rejects.toMatchObject(expected)
  })
})

describe('close', () => {
  test('then every call rejects', async () => {
    const bridge = new AuthBridge(COMPLETE)
    expect(await bridge.close()).toBeUndefined()
    for (const header of [undefined, '', 'authjs.session-token=garbage']) {
      await expect(bridge.getSession(header)).rejects.toMatchObject({
        code: 'ERR_AUTH_BRIDGE_CLOSED',
        message: 'this AuthBridge is closed',
      })
    }
  })

  test('before the first call: it rejects, too', async () => {
    const bridge = new AuthBridge({})
    expect(await bridge.close()).toBeUndefined()
    await bridge.close()
    await expect(bridge.getSession()).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_CLOSED' })
    await expect(bridge.health()).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_CLOSED' })
    expect(() => bridge.stats()).toThrow(expect.objectContaining({ code: 'ERR_AUTH_BRIDGE_CLOSED' }))
  })

  test('twice, also concurrently', async () => {
    const bridge = new AuthBridge(COMPLETE)
    expect(await Promise.all([bridge.close(), bridge.close()])).toEqual([undefined, undefined])
    expect(await bridge.close()).toBeUndefined()
    await expect(bridge.getSession()).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_CLOSED' })
  })

  test('closes that instance only', async () => {
    const [closed, open] = [new AuthBridge(COMPLETE), new AuthBridge(COMPLETE)]
    await closed.close()
    expect(await open.getSession('a=b')).toEqual({})
  })
})
