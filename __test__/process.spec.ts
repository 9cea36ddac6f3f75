import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import manifest from '../package.json' with { type: 'json' }
import { makeTarballs } from '../scripts/tarballs.mjs'
import { SECRET } from './support/bridges.js'
import { COOKIE_NAME, mintCookie, SECURE_COOKIE_NAME } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { freePort } from './support/postgres.mjs'
import { runScript } from './support/script.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const OTHER_SECRET = 'another secret, of 32 bytes, too'

const database = useDatabase()
let folder: string
let claims: Record<string, unknown>

/** A folder with the packages that `npm install` would install. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-app-'))
  for (const tarball of makeTarballs({ output: folder })) {
    const name = basename(tarball).replace(/-\d.*$/, '')
    const installed = join(folder, 'node_modules', name)
    await mkdir(installed, { recursive: true })
    execFileSync('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1'])
  }
  const user = await createUser(database.client)
  claims = claimsOf(user, await createSession(database.client, user))
})
afterAll(() => rm(folder, { recursive: true }))

/** Runs a script in a new process with the variables `env` only, and returns its output. Fails on a warning. */
async function run(script: string, env: Record<string, string> = {}) {
  const { output, errors } = await runWithWarnings(script, env)
  expect(errors).toBe('')
  return output
}

async function runWithWarnings(script: string, env: Record<string, string>) {
  const { code, signal, output, errors } = await runScript(script, env, folder)
  expect({ code, signal, errors }).toEqual({ code: 0, signal: null, errors })
  return { output, errors }
}

/** A script that prints the body as JSON, or the code and the message of the error. */
const print = (call: string) =>
  `${call}.then(body => console.log(JSON.stringify(body)), error => console.log(error.code, error.message))`
const read = (cookie: string) => print(`require('authjs-bridge').getSession(${JSON.stringify(cookie)})`)
const mint = (name?: string, secret = SECRET) => mintCookie(claims, { secret, name })

test('a header over the limit is not copied', async () => {
  const script = `
    const { AuthBridge } = require('authjs-bridge')
    const bridge = new AuthBridge()
    const bytes = Buffer.alloc(2 ** 28, 'a=b; ')
    const header = bytes.toString('latin1')
    const before = process.resourceUsage().maxRSS
    bridge.getSession(header).then((body) => {
      console.log(JSON.stringify(body), process.resourceUsage().maxRSS - before < 1e5, bytes.length === header.length)
    })`
  expect(await run(script, { AUTH_SECRET: SECRET, DATABASE_URL: database.url })).toBe('{} true true')
})

describe('unusual apps', () => {
  test('properties of Object.prototype are neither options nor variables', async () => {
    const script = `
      const polluted = { AUTH_SECRET_3: process.env.OTHER, secret: process.env.OTHER, ignoreExpiresAt: 7, anything: 1 }
      Object.assign(Object.prototype, polluted)
      const { AuthBridge, explainSession } = require('authjs-bridge')
      const bridge = new AuthBridge({ databaseUrl: process.env.DATABASE_URL })
      Promise.all([explainSession, bridge.explainSession.bind(bridge)].map((explain) => explain(process.env.COOKIE)))
        .then((explanations) => console.log(...explanations.map(({ reason }) => reason)))`
    const COOKIE = await mint(undefined, OTHER_SECRET)
    const env = { AUTH_SECRET: SECRET, DATABASE_URL: database.url, OTHER: OTHER_SECRET, COOKIE }
    expect(await run(script, env)).toBe('no-matching-secret no-matching-secret')
  })

  test('properties of Object.prototype are neither a session nor options of authjs-bridge/next', async () => {
    const next = join(folder, 'node_modules', 'next')
    await mkdir(next)
    await writeFile(
      join(next, 'headers.js'),
      'exports.headers = exports.cookies = async () => ({ get() {}, getAll: () => [] })',
    )
    const script = `
      const { createSessions } = require('authjs-bridge/next')
      const empty = async () => ({})
      const bridge = { getSession: empty, getSessionJson: async () => '{}', refreshSession: empty, updateSession: empty }
      Object.assign(Object.prototype, { user: { id: 'evil' }, unauthenticated: 'null', rolling: true })
      const { auth, route } = createSessions({ bridge })
      Promise.all([auth(), route().GET(new Request('http://a')).then((sent) => sent.text())])
        .then((answers) => console.log(...answers))`
    expect(await run(script)).toBe('null {}')
  })

  test('works if process.env and process.emitWarning throw', async () => {
    const script = `
      require('authjs-bridge')
      const thrower = () => { throw new Error('undeclared') }
      const get = (env, name) => /^(NEXT)?AUTH_(?!SECRET$)/.test(name) ? thrower() : env[name]
      process.env = new Proxy({ ...process.env, AUTH_URL: 'https://app.example' }, { get })
      Object.defineProperty(process, 'emitWarning', { get: thrower })
      ${read(await mint(undefined, 'short'))}`
    const body = await run(script, { AUTH_SECRET: 'short', DATABASE_URL: database.url })
    expect(JSON.parse(body)).toMatchObject({ session_id: claims.session_id })
  })
})

describe('the module', () => {
  test('loads without any environment variable, by require and by import', async () => {
    const script = `
      const required = Object.keys(require('authjs-bridge')).sort()
      import('authjs-bridge').then(({ getSession, AuthBridge }) => {
        console.log(required.join(), typeof getSession, typeof AuthBridge)
      })`
    expect(await run(script)).toBe(
      'AuthBridge,createSession,defaultBridge,deleteEndedSessions,explainSession,getSession,' +
        'getSessionJson,listSessions,refreshSession,revokeOtherSessions,revokeSession,revokeSessions,' +
        'revokeTenantSessions,sealSession,updateSession,versions function function',
    )
  })

  test('returns {} for a request without a session cookie, without configuration', async () => {
    expect(await run(`require('authjs-bridge').getSession('x=y').then(console.log)`)).toBe('{}')
  })

  test('refreshes nothing for a request without a session cookie, without configuration', async () => {
    const script = `const { refreshSession, updateSession } = require('authjs-bridge')
      Promise.all([refreshSession('x=y'), updateSession(null, {})]).then((all) => console.log(JSON.stringify(all)))`
    expect(JSON.parse(await run(script))).toEqual([
      { session: {}, setCookie: [], cookieHeader: 'x=y' },
      { session: {}, setCookie: [], cookieHeader: '', updated: false },
    ])
  })

  test('returns its versions without configuration', async () => {
    const { authjsBridge, openssl } = JSON.parse(
      await run(`console.log(JSON.stringify(require('authjs-bridge').versions()))`),
    )
    expect(authjsBridge).toBe(manifest.version)
    expect(openssl).toMatch(/^\d+\.\d+\.\d+$/)
  })

  test('ignores OPENSSL_CONF, which is for the OpenSSL of Node.js', async () => {
    const file = join(folder, 'openssl.cnf')
    // With this section OpenSSL would load none of its algorithms.
    await writeFile(file, 'openssl_conf = init\n[init]\nproviders = list\n[list]\nnull = null\n[null]\nactivate = 1\n')
    const env = { OPENSSL_CONF: file, AUTH_SECRET: SECRET, DATABASE_URL: database.url }
    expect(JSON.parse(await run(read(await mint()), env))).toMatchObject({ session_id: claims.session_id })
  })

  test.each([
    ['no secret', {}, /^ERR_AUTH_BRIDGE_CONFIG secret: is missing; set the environment variable AUTH_SECRET/],
    ['no database', { AUTH_SECRET: SECRET }, /^ERR_AUTH_BRIDGE_CONFIG databaseUrl: is missing; set .*DATABASE_URL/],
    [
      'an invalid AUTH_URL',
      { AUTH_SECRET: SECRET, AUTH_URL: 'app.example' },
      /^ERR_AUTH_BRIDGE_CONFIG AUTH_URL: must begin/,
    ],
  ])('%s: rejects where there is a session cookie', async (_, env, expected) => {
    expect(await run(read(await mint()), env)).toMatch(expected)
  })

  test('no database reachable: {} for garbage, an error for a good cookie', async () => {
    const env = { AUTH_SECRET: SECRET, DATABASE_URL: `postgres://u@127.0.0.1:${await freePort()}/d` }
    expect(await run(read('authjs.session-token=garbage'), env)).toBe('{}')
    expect(await run(read(await mint()), env)).toMatch(/^ERR_AUTH_BRIDGE_DATABASE cannot connect to the database/)
  })

  test('a configuration that is missing at the first call may be set before the second', async () => {
    const cookie = await mint()
    const script = `
      const { getSession } = require('authjs-bridge')
      getSession('${cookie}').catch(async (error) => {
        Object.assign(process.env, { AUTH_SECRET: '${SECRET}', DATABASE_URL: '${database.url}' })
        console.log(error.code, (await getSession('${cookie}')).session_id)
      })`
    expect(await run(script)).toBe(`ERR_AUTH_BRIDGE_CONFIG ${claims.session_id}`)
  })
})

describe('the environment', () => {
  const URL_PARTS = new URL(database.url)
  const PG = {
    PGHOST: URL_PARTS.hostname,
    PGPORT: URL_PARTS.port,
    PGUSER: URL_PARTS.username,
    PGPASSWORD: decodeURIComponent(URL_PARTS.password),
    PGDATABASE: URL_PARTS.pathname.slice(1),
  }
  const base = { AUTH_SECRET: SECRET, DATABASE_URL: database.url }
  const withoutPassword = database.url.replace(`:${URL_PARTS.password}@`, '@')

  test.each<[string, Record<string, string>, () => Promise<string>, boolean]>([
    ['AUTH_SECRET', base, () => mint(), true],
    ['AUTH_SECRET_3 of a rotation', { ...base, AUTH_SECRET: OTHER_SECRET, AUTH_SECRET_3: SECRET }, () => mint(), true],
    ['AUTH_SECRET beside AUTH_SECRET_1', { ...base, AUTH_SECRET_1: OTHER_SECRET }, () => mint(), true],
    ['NEXTAUTH_SECRET', { NEXTAUTH_SECRET: SECRET, DATABASE_URL: database.url }, () => mint(), true],
    ['other AUTH_SECRET', { ...base, AUTH_SECRET: OTHER_SECRET }, () => mint(), false],
    ['PG* variables', { AUTH_SECRET: SECRET, ...PG }, () => mint(), true],
    [
      'AUTH_BRIDGE_DATABASE_URL before DATABASE_URL',
      { ...base, AUTH_BRIDGE_DATABASE_URL: database.url, DATABASE_URL: 'postgres://host.invalid/d?schema=none' },
      () => mint(),
      true,
    ],
    ['PG* variables beside an empty URL', { ...base, ...PG, DATABASE_URL: 'postgres://' }, () => mint(), true],
    [
      'PGPASSWORD beside a URL without a password',
      { ...base, ...PG, DATABASE_URL: withoutPassword },
      () => mint(),
      true,
    ],
    ['DATABASE_URL before PGHOST', { ...base, PGHOST: 'host.invalid' }, () => mint(), true],
    ['AUTH_URL https, secure cookie', { ...base, AUTH_URL: 'https://a.example' }, () => mint(SECURE_COOKIE_NAME), true],
    ['AUTH_URL https, plain cookie', { ...base, AUTH_URL: 'https://a.example' }, () => mint(), false],
    ['AUTH_URL http, plain cookie', { ...base, AUTH_URL: 'http://a.example' }, () => mint(), true],
    ['NEXTAUTH_URL https, plain cookie', { ...base, NEXTAUTH_URL: 'https://a.example' }, () => mint(), false],
    ['no URL, secure cookie', base, () => mint(SECURE_COOKIE_NAME), true],
    [
      'production without URL, secure cookie',
      { ...base, NODE_ENV: 'production' },
      () => mint(SECURE_COOKIE_NAME),
      true,
    ],
    ['development without URL, plain cookie', { ...base, NODE_ENV: 'development' }, () => mint(), true],
  ])('%s', async (_, env, cookie, authenticated) => {
    const output = await run(read(await cookie()), env)
    expect(JSON.parse(output).session_id).toBe(authenticated ? claims.session_id : undefined)
  })
})

test.each([
  [
    'PGSSLMODE=verify-full beside a URL without sslmode: no connection without TLS',
    (url: string) => ({ DATABASE_URL: url, PGSSLMODE: 'verify-full' }),
    'server does not support TLS',
  ],
  [
    'no PGPASSWORD beside a URL without a password',
    (url: string) => ({ DATABASE_URL: url.replace(/:[^:@]+@/, '@') }),
    'password missing',
  ],
])('%s', async (_, env, message) => {
  const output = await run(read(await mint()), { AUTH_SECRET: SECRET, ...env(database.url) })
  expect(output).toContain('ERR_AUTH_BRIDGE_DATABASE cannot connect to the database')
  expect(output).toContain(message)
})

describe('warnings', () => {
  const twice = `
    const { AuthBridge } = require('authjs-bridge')
    new AuthBridge().getSession('a=b')
    new AuthBridge().getSession('a=b')`
  const database = 'postgres://localhost/d'

  test.each<[string, Record<string, string>]>([
    ['AUTH_BRIDGE_SHORT_SECRET', { AUTH_SECRET: 'hunter2' }],
    ['AUTH_BRIDGE_WRAPPED_SECRET', { AUTH_SECRET: `"hunter2 ${SECRET}"` }],
    ['AUTH_BRIDGE_EMPTY_SECRET', { AUTH_SECRET: '', NEXTAUTH_SECRET: SECRET }],
  ])('%s is emitted once', async (code, env) => {
    const { errors } = await runWithWarnings(twice, { ...env, DATABASE_URL: database })
    expect(errors.match(/AuthBridgeWarning: /g)).toHaveLength(1)
    expect(errors).toContain(`[${code}] AuthBridgeWarning: `)
    expect(errors).not.toContain('hunter2')
  })

  test('AUTH_BRIDGE_UNKNOWN_PARAMETER is given once, and names them', async () => {
    const env = { AUTH_SECRET: SECRET, DATABASE_URL: `${database}?workaround=supabase-pooler.vercel&env=local` }
    const { errors } = await runWithWarnings(twice, env)
    expect(errors.match(/AuthBridgeWarning: /g)).toHaveLength(1)
    expect(errors).toContain('[AUTH_BRIDGE_UNKNOWN_PARAMETER] AuthBridgeWarning: DATABASE_URL has parameters')
    expect(errors).toContain(': workaround, env;')
  })

  test('AUTH_BRIDGE_PLAIN_COOKIE', async () => {
    const script = `new (require('authjs-bridge').AuthBridge)({ secureCookie: false }).getSession()`
    const env = { AUTH_SECRET: SECRET, DATABASE_URL: database, NODE_ENV: 'production', AUTH_URL: 'https://a.example' }
    expect((await runWithWarnings(script, env)).errors).toContain('[AUTH_BRIDGE_PLAIN_COOKIE] AuthBridgeWarning: ')
  })
})

describe('in production without AUTH_URL, a request with the plain cookie only', () => {
  const env = { AUTH_SECRET: SECRET, DATABASE_URL: database.url, NODE_ENV: 'production' }
  const cookies = (...names: string[]) => names.map((name) => `${name}=x.y.z`).join('; ')
  const script = (bridge: string, cookie: string) => `
    const { AuthBridge, ...module } = require('authjs-bridge')
    const bridge = ${bridge}
    bridge.getSession('${cookie}').then(() => bridge.getSession('${cookie}')).then(JSON.stringify).then(console.log)`

  test.each(['module', 'new AuthBridge()'])('%s: {}, and a warning, once', async (bridge) => {
    const { output, errors } = await runWithWarnings(script(bridge, cookies(COOKIE_NAME)), env)
    expect(output).toBe('{}')
    expect(errors.match(/AuthBridgeWarning: /g)).toHaveLength(1)
    expect(errors).toContain('[AUTH_BRIDGE_IGNORED_COOKIE] AuthBridgeWarning: ')
  })

  test.each<[string, string, Record<string, string>]>([
    ['the secure one, too', cookies(COOKIE_NAME, SECURE_COOKIE_NAME), env],
    ['none', cookies('other'), env],
    ['AUTH_URL', cookies(COOKIE_NAME), { ...env, AUTH_URL: 'https://a.example' }],
    ['development', cookies(COOKIE_NAME), { ...env, NODE_ENV: 'development' }],
  ])('not with %s', async (_, cookie, env) => {
    for (const bridge of ['module', 'new AuthBridge()']) expect(await run(script(bridge, cookie), env)).toBe('{}')
  })
})

describe('a sign-in over http, in production', () => {
  const env = { AUTH_SECRET: SECRET, DATABASE_URL: database.url, NODE_ENV: 'production' }
  const signInTwice = (scheme: string) => {
    const { tenant, id, user_type } = claims
    return `
      const { withSessions } = require('authjs-bridge/next-auth')
      const req = { method: 'POST', headers: { 'x-forwarded-proto': '${scheme}' } }
      const { callbacks } = withSessions({}, { req, res: new (require('node:http').ServerResponse)(req) })
      const signIn = () => callbacks.jwt({ token: ${JSON.stringify({ tenant, id, user_type })}, user: {} })
      signIn().then(signIn).then((token) => console.log(typeof token.session_id))`
  }

  test('without AUTH_URL warns once that browsers drop its cookie', async () => {
    const { output, errors } = await runWithWarnings(signInTwice('http'), env)
    expect(output).toBe('string')
    expect(errors.match(/AuthBridgeWarning: /g)).toHaveLength(1)
    expect(errors).toContain('[AUTH_BRIDGE_HTTP_SIGN_IN] AuthBridgeWarning: ')
  })

  test.each<[string, string, Record<string, string>]>([
    ['https', 'https', env],
    ['https, and http behind the proxy', 'https,http', env],
    ['an AUTH_URL of https', 'http', { ...env, AUTH_URL: 'https://a.example' }],
    ['a NEXTAUTH_URL of http', 'http', { ...env, NEXTAUTH_URL: 'http://a.example' }],
    ['development', 'http', { ...env, NODE_ENV: 'development' }],
  ])('not with %s', async (_, scheme, env) => {
    expect(await run(signInTwice(scheme), env)).toBe('string')
  })
})

describe('the bridge of the module', () => {
  const env = { AUTH_SECRET: SECRET, DATABASE_URL: database.url }

  test('is made anew by the next call after it was closed', async () => {
    const script = `
      const { defaultBridge, getSession } = require('authjs-bridge')
      const cookie = '${await mint()}'
      const bridge = defaultBridge()
      const id = async () => (await getSession(cookie)).session_id
      const twice = async () => [await id(), bridge.stats().calls.authenticated, await bridge.close()]
      bridge.close().then(twice).then(async (first) => console.log(JSON.stringify([first, await twice()])))`
    const time = [claims.session_id, 1, null]
    expect(JSON.parse(await run(script, env))).toEqual([time, time])
  })

  test('needs no environment until it is called', async () => {
    const script = `
      const bridge = require('authjs-bridge').defaultBridge()
      const codes = []
      try { bridge.stats() } catch ({ code }) { codes.push(code) }
      bridge.health().catch(({ code }) => console.log(...codes, code))`
    expect(await run(script)).toBe('ERR_AUTH_BRIDGE_CONFIG ERR_AUTH_BRIDGE_CONFIG')
  })

  test.each([
    ['development', 'no-matching-secret live no-matching-secret'],
    ['production', 'no-matching-secret no-matching-secret no-matching-secret'],
  ])('under NODE_ENV=%s after its variables have changed', async (mode, expected) => {
    const script = `
      const { explainSession } = require('authjs-bridge')
      const reasons = []
      async function explain(secret) {
        process.env.AUTH_SECRET = secret
        reasons.push((await explainSession('${await mint(SECURE_COOKIE_NAME)}')).reason)
      }
      explain('${OTHER_SECRET}').then(() => explain('${SECRET}')).then(() => explain('${OTHER_SECRET}'))
        .then(() => console.log(...reasons))`
    expect(await run(script, { ...env, NODE_ENV: mode })).toBe(expected)
  })

  test('keeps its counts in development while nothing that it was made from changes', async () => {
    const script = `
      const { defaultBridge, getSession } = require('authjs-bridge')
      function again() {
        process.env.OTHER = String(Math.random())
        return getSession('${await mint()}')
      }
      again().then(again).then(again).then(() => console.log(defaultBridge().stats().calls.authenticated))`
    expect(await run(script, { ...env, NODE_ENV: 'development' })).toBe('3')
  })
})

describe('AUTH_BRIDGE_OPTIONS', () => {
  const explain = (cookie: string) => `
    require('authjs-bridge').explainSession('${cookie}')
      .then(({ reason }) => console.log(reason), ({ code, message }) => console.log(code, message))`
  const OPTIONS = { secret: SECRET, databaseUrl: database.url, cookieName: ['sid', COOKIE_NAME] }

  test('sets all options, as JSON or as the path of a JSON file', async () => {
    const file = join(folder, 'options.json')
    await writeFile(file, JSON.stringify(OPTIONS, null, 2))
    const cookie = await mint('sid')
    for (const AUTH_BRIDGE_OPTIONS of [
      JSON.stringify(OPTIONS),
      ` ${JSON.stringify(OPTIONS)}\n`,
      file,
      'options.json',
    ]) {
      expect(await run(explain(cookie), { AUTH_BRIDGE_OPTIONS })).toBe('live')
    }
  })

  test('a file is read once, however many requests come before the first session', async () => {
    const script = `
      const fs = require('node:fs')
      const { getSession } = require('authjs-bridge')
      fs.writeFileSync('once.json', ${JSON.stringify(JSON.stringify(OPTIONS))})
      getSession('theme=dark').then(async body => {
        fs.rmSync('once.json')
        console.log(JSON.stringify([body, await getSession('theme=dark')]))
        console.log(Object.keys(await getSession('${await mint('sid')}')).length > 0)
        process.env.AUTH_BRIDGE_OPTIONS = 'other.json'
        const { closed } = await require('authjs-bridge').defaultBridge().close()
          .then(() => getSession('theme=dark')).catch(({ message }) => ({ closed: message }))
        console.log(closed.includes('no such file'))
      })`
    expect(await run(script, { AUTH_BRIDGE_OPTIONS: 'once.json' })).toBe('[{},{}]\ntrue\ntrue')
  })

  test('has the options of tables and claims, for all of the module’s functions', async () => {
    const own = { extraClaims: ['role'], freshClaims: ['email'], expires: true, tables: { users: 'public.users' } }
    const script = `
      const { getSession, getSessionJson, explainSession } = require('authjs-bridge')
      const cookie = '${await mintCookie({ ...claims, email: 'of the token', role: { a: 1 } }, { secret: SECRET, name: 'sid' })}'
      Promise.all([getSession(cookie), getSessionJson(cookie), explainSession(cookie)]).then(([session, text, why]) => {
        const { email, role } = session.user
        console.log(JSON.stringify([email, role, typeof session.expires, text === JSON.stringify(session)]))
        console.log(JSON.stringify([why.extraClaims, why.freshClaims]))
      })`
    const AUTH_BRIDGE_OPTIONS = JSON.stringify({ ...OPTIONS, ...own })
    expect(await run(script, { AUTH_BRIDGE_OPTIONS })).toBe(
      '["ada@example.com",{"a":1},"string",true]\n[["role"],["email"]]',
    )
  })

  test('counts before the other variables, which complete it', async () => {
    const env = { AUTH_SECRET: OTHER_SECRET, DATABASE_URL: database.url, AUTH_BRIDGE_OPTIONS: `{"secret":"${SECRET}"}` }
    expect(await run(explain(await mint()), env)).toBe('live')
  })

  test('is not for an AuthBridge of the app', async () => {
    const script = `
      const { AuthBridge } = require('authjs-bridge')
      new AuthBridge().explainSession('${await mint()}').then(({ reason }) => console.log(reason))`
    const env = { AUTH_SECRET: SECRET, DATABASE_URL: database.url, AUTH_BRIDGE_OPTIONS: '{"cookieName":"sid"}' }
    expect(await run(script, env)).toBe('live')
  })

  test('answers {} without a database to a request without the cookie that it names', async () => {
    const env = { AUTH_BRIDGE_OPTIONS: '{"cookieName":"sid"}' }
    expect(await run(read(await mint()), env)).toBe('{}')
    expect(await run(read('sid=x'), env)).toMatch(/^ERR_AUTH_BRIDGE_CONFIG secret: is missing/)
  })

  test.each([
    ['{"secrets":"hunter2"}', 'secrets in AUTH_BRIDGE_OPTIONS: is not an option; the options are secret, '],
    ['{"secret":null}', 'secret in AUTH_BRIDGE_OPTIONS: is null; give it a value, or leave it out'],
    ['{"secret":""}', 'secret in AUTH_BRIDGE_OPTIONS: is an empty string'],
    ['{"tls":{"ca":7}}', 'tls.ca in AUTH_BRIDGE_OPTIONS: must be a string, not number'],
    ['{"__proto__":{"secret":"hunter2"}}', '__proto__ in AUTH_BRIDGE_OPTIONS: is not an option'],
    ['{"callTimeout":0}', 'callTimeout in AUTH_BRIDGE_OPTIONS: must be a whole number of milliseconds'],
    ['{"databaseUrl":"mysql://u:hunter2@h"}', 'databaseUrl in AUTH_BRIDGE_OPTIONS: must begin with postgres://'],
    [
      '{"secret":"s","databaseUrl":"postgres://u:hunter2@h/d?sslmode=verify-ca"}',
      'databaseUrl in AUTH_BRIDGE_OPTIONS: sslmode needs sslrootcert',
    ],
    ['{"secret":"hunter2"', 'AUTH_BRIDGE_OPTIONS: is not valid JSON'],
    [
      '\'{"secret":"hunter2"}\'',
      'AUTH_BRIDGE_OPTIONS: must be JSON text that begins with {, or the path of a JSON file',
    ],
    ['list.json', 'AUTH_BRIDGE_OPTIONS: must be an object, not an array'],
    ['broken.json', 'AUTH_BRIDGE_OPTIONS: is not valid JSON'],
  ])('%s is an error that names it, and shows no value', async (AUTH_BRIDGE_OPTIONS, message) => {
    await writeFile(join(folder, 'list.json'), '[]')
    await writeFile(join(folder, 'broken.json'), 'hunter2')
    const output = await run(explain(await mint()), { AUTH_BRIDGE_OPTIONS })
    expect(output.startsWith(`ERR_AUTH_BRIDGE_CONFIG ${message}`), output).toBe(true)
    expect(output).not.toContain('hunter2')
  })
})

describe('the process', () => {
  const env = { AUTH_SECRET: SECRET, DATABASE_URL: database.url }

  test('stays alive while a call is pending, and exits by itself with open connections', async () => {
    const script = `
      const { AuthBridge } = require('authjs-bridge')
      const bridge = new AuthBridge()
      ${print(`bridge.getSession('${await mint()}')`)}`
    expect(JSON.parse(await run(script, env)).session_id).toBe(claims.session_id)
  })

  test('continues when the only worker that loaded the addon has ended', async () => {
    const script = `
      const { Worker } = require('node:worker_threads')
      const source = \`
        const { getSession } = require('authjs-bridge')
        getSession('${await mint()}').then((body) => require('node:worker_threads').parentPort.postMessage(body.session_id))\`
      const worker = new Worker(source, { eval: true })
      worker.on('message', async (id) => {
        await worker.terminate()
        setTimeout(() => console.log(id), 200)
      })`
    expect(await run(script, env)).toBe(claims.session_id)
  })

  test('workers have their own bridges, and one may end with calls in flight', async () => {
    const cookie = await mint()
    const script = `
      const { Worker } = require('node:worker_threads')
      const { getSession } = require('authjs-bridge')
      const source = \`
        const { parentPort } = require('node:worker_threads')
        const { getSession } = require('authjs-bridge')
        const calls = Array.from({ length: 50 }, () => getSession('${cookie}'))
        parentPort.postMessage('started')
        Promise.all(calls).then((bodies) => parentPort.postMessage(bodies.filter((body) => body.session_id).length))\`
      const answers = Array.from({ length: 4 }, (_, index) => new Promise((resolve) => {
        const worker = new Worker(source, { eval: true })
        worker.on('message', (message) => {
          if (index === 0) worker.terminate().then(() => resolve('terminated'))
          else if (message !== 'started') resolve(message)
        })
      }))
      const own = Array.from({ length: 50 }, () => getSession('${cookie}'))
      Promise.all([...answers, Promise.all(own).then((bodies) => bodies.length)]).then((all) => console.log(all.join()))`
    expect(await run(script, env)).toBe('terminated,50,50,50,50')
  })
})
