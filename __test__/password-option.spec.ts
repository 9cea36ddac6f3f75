// The option `password`: a text, or a function that is called for each new connection, such as for tokens of a cloud that
// expire.

import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AuthBridge, type AuthBridgeOptions } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { rejectionOf } from './support/faults.js'
import { inCode } from './support/platform.js'
import { runScript } from './support/script.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const ROLE = `role_${randomUUID().replaceAll('-', '')}`
const database = useDatabase()
const bridgeTo = useBridges()
/** Without a password. */
let url: string
let cookie: string
let sessionId: string

beforeAll(async () => {
  const user = await createUser(database.client)
  const session = await createSession(database.client, user)
  sessionId = session.session_id
  cookie = await mintCookie(claimsOf(user, session), { secret: SECRET })
  await database.client.query(`CREATE ROLE ${ROLE} LOGIN; GRANT SELECT ON sessions, users TO ${ROLE}`)
  const place = new URL(database.url)
  url = `postgres://${ROLE}@${place.host}${place.pathname}`
})
beforeEach(() => setPassword('first'))
afterAll(async () => {
  await endConnections()
  await database.client.query(`DROP OWNED BY ${ROLE}; DROP ROLE ${ROLE}`)
})

const setPassword = (password: string) => database.client.query(`ALTER ROLE ${ROLE} PASSWORD '${password}'`)
const endConnections = () =>
  database.client.query('SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = $1', [ROLE])

type Password = AuthBridgeOptions['password']

/** The session id, or the code and the message. */
async function read(password: unknown, options: AuthBridgeOptions = {}) {
  const bridge = bridgeTo(url, { password: password as Password, ...options })
  return bridge.getSession(cookie).then(
    ({ session_id }) => session_id,
    ({ code, message }) => `${code}: ${message}`,
  )
}

describe('is taken', () => {
  test.each<[string, Password]>([
    ['from a text', 'first'],
    ['from a function', () => 'first'],
    ['from an async function', async () => 'first'],
    // biome-ignore lint/suspicious/noThenProperty: as some libraries make their own promises
    ['from a thenable', () => ({ then: (resolve: (text: string) => void) => resolve('first') }) as Promise<string>],
  ])('%s', async (_, password) => {
    expect(await read(password)).toBe(sessionId)
  })

  test('before that of the URL', async () => {
    const bridge = bridgeTo(url.replace('@', ':wrong@'), { password: 'first' })
    expect((await bridge.getSession(cookie)).session_id).toBe(sessionId)
  })

  test('with any characters, and longer than those of a cloud', async () => {
    const password = `p@ss?:/%41 "ä" ${'t'.repeat(5000)}`
    await setPassword(password)
    expect(await read(async () => password)).toBe(sessionId)
  })
})

test('that has changed is asked for again with each new connection, and only then', async () => {
  let password = 'first'
  let calls = 0
  const bridge = bridgeTo(url, {
    password: async () => {
      calls++
      return password
    },
    maxConnections: 1,
  })
  const again = async () => (await bridge.getSession(cookie)).session_id
  expect(calls).toBe(0)
  expect(await again()).toBe(sessionId)
  expect(await again()).toBe(sessionId)
  expect(calls).toBe(1)
  await setPassword('second')
  password = 'second'
  expect(await again()).toBe(sessionId)
  expect(calls).toBe(1)
  await endConnections()
  expect(await again()).toBe(sessionId)
  expect(calls).toBe(2)
})

describe('of its failure only the name of the error is shown', () => {
  class TokenError extends Error {
    override name = 'TokenError'
  }
  const failing = (error: unknown): [() => string, () => Promise<string>] => [
    () => {
      throw error
    },
    () => Promise.reject(error),
  ]
  const named = (name: unknown) => Object.assign(new Error('Hunter2'), { name })
  test.each<[string, unknown, string]>([
    ['an Error', new Error('Hunter2'), 'Error'],
    ['an error of a class', new TokenError('Hunter2'), 'TokenError'],
    ['a text', 'Hunter2', 'Error'],
    ['nothing', undefined, 'Error'],
    ['an object', { message: 'Hunter2' }, 'Error'],
    ['a name that is no name', named('Hunter2: the password\n'), 'Error'],
    ['a name that is too long', named('Hunter2'.repeat(10)), 'Error'],
    ['a name that is no text', named({ toString: () => 'Hunter2' }), 'Error'],
    ['a name that throws', Object.defineProperty({}, 'name', { get: () => failing('Hunter2')[0]() }), 'Error'],
  ])('%s', async (_, error, name) => {
    for (const password of failing(error)) {
      expect(await read(password)).toBe(
        `ERR_AUTH_BRIDGE_DATABASE: cannot connect to the database: the function of the option password failed: ${name}`,
      )
    }
  })
})

test.each<[string, unknown]>([
  ['a number', () => 1],
  ['nothing', () => {}],
  ['null, in a promise', async () => null],
  ['an object', () => ({ password: 'first' })],
])('a function that returns %s is an error of the configuration', async (_, password) => {
  expect(await read(password)).toBe('ERR_AUTH_BRIDGE_CONFIG: password: must return a string, or a promise of one')
})

test.each<[string, unknown]>([
  ['an empty text', ''],
  ['a text with a NUL', 'a\0b'],
  ['a function that returns an empty text', () => ''],
])('%s is an error of the configuration', async (_, password) => {
  const refused = await read(password).catch(({ code, message }) => `${code}: ${message}`)
  expect(refused).toBe('ERR_AUTH_BRIDGE_CONFIG: password: must not be empty or contain a NUL character')
})

test.each([1, {}, ['first'], true])('%j is an error at once', (password) => {
  const make = () => new AuthBridge({ secret: SECRET, databaseUrl: url, password: password as unknown as string })
  expect(make).toThrow(expect.objectContaining({ code: 'ERR_AUTH_BRIDGE_CONFIG' }))
  expect(make).toThrow(/^password: must be a string, or a function that returns one, not /)
})

test('connectTimeout bounds the function, and the next call asks it again', async () => {
  const answers = [new Promise<string>(() => {}), Promise.resolve('first')]
  const bridge = bridgeTo(url, { password: () => answers.shift() ?? '', connectTimeout: 300 })
  expect(await rejectionOf(bridge, cookie)).toMatchObject({
    code: 'ERR_AUTH_BRIDGE_TIMEOUT',
    message: 'the function of the option password took longer than 300 ms',
  })
  expect((await bridge.getSession(cookie)).session_id).toBe(sessionId)
})

test('no host is connected to without a password', async () => {
  let connections = 0
  const server = createServer((socket) => {
    connections++
    socket.destroy()
  }).listen(0)
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const hosts = `127.0.0.1:${port},127.0.0.1:${port}`
  let calls = 0
  const password = () => {
    calls++
    throw new Error()
  }
  const { code } = await rejectionOf(bridgeTo(`postgres://u@${hosts}/d`, { password }), cookie)
  server.close()
  expect({ code, calls, connections }).toEqual({ code: 'ERR_AUTH_BRIDGE_DATABASE', calls: 1, connections: 0 })
})

describe('bridges with the same options share connections', () => {
  const bridge = (password: Password) => bridgeTo(`${url}?application_name=shared`, { password, maxConnections: 1 })

  test('and the function of the newest that is open is called', async () => {
    const called: string[] = []
    const by = (name: string) => () => {
      called.push(name)
      return 'first'
    }
    const [older, newer] = [bridge(by('older')), bridge(by('newer'))]
    // A bridge is made when it is first needed.
    for (const made of [older, newer]) made.stats()
    await older.getSession(cookie)
    await newer.getSession(cookie)
    expect(called).toEqual(['newer'])
    expect(newer.stats().pool.connects).toBe(1)
    await newer.close()
    await endConnections()
    await older.getSession(cookie)
    expect(called).toEqual(['newer', 'older'])
  })

  test('but not with one that has a text', async () => {
    const [one, other] = [bridge(() => 'first'), bridge('wrong')]
    expect((await one.getSession(cookie)).session_id).toBe(sessionId)
    expect((await rejectionOf(other, cookie)).code).toBe('ERR_AUTH_BRIDGE_DATABASE')
  })
})

describe('in a process of its own', () => {
  const addon = JSON.stringify(inCode(fileURLToPath(new URL('../index.js', import.meta.url))))
  const run = (script: string) => {
    const env = { URL: url, COOKIE: cookie, AUTH_SECRET: SECRET, NODE_ENV: 'test' }
    return runScript(`const { AuthBridge } = require(${addon})\n${script}`, env)
  }
  const CREATE = `(password) => new AuthBridge({ databaseUrl: process.env.URL, password, connectTimeout: 500 })`

  test('a call that never ends does not keep it alive', async () => {
    const { code, output, errors } = await run(`
      const bridge = (${CREATE})(() => new Promise(() => {}))
      bridge.getSession(process.env.COOKIE).catch(({ code }) => console.log(code))`)
    expect({ code, output, errors }).toEqual({ code: 0, output: 'ERR_AUTH_BRIDGE_TIMEOUT', errors: '' })
  })

  test('nor does a bridge that nobody calls, or that has connections', async () => {
    const { code, output, errors } = await run(`
      const unused = (${CREATE})(() => 'first')
      const bridge = (${CREATE})(() => 'first')
      bridge.getSession(process.env.COOKIE).then(({ session_id }) => console.log(session_id))`)
    expect({ code, output, errors }).toEqual({ code: 0, output: sessionId, errors: '' })
  })

  test.each([
    ['when a thread has ended', false],
    ['when a thread ends while its function is called', true],
  ])('%s, the function of another one is called', async (_, whileCalled) => {
    const { code, output, errors } = await run(`
      const { Worker } = require('node:worker_threads')
      const { once } = require('node:events')
      async function main() {
        const called = []
        const bridge = (${CREATE})(() => { called.push('main'); return 'first' })
        bridge.stats()
        const worker = new Worker(\`
          const { AuthBridge } = require(${addon.replaceAll('"', "'")})
          const { parentPort } = require('node:worker_threads')
          globalThis.bridge = (${CREATE})(() => { parentPort.postMessage('called'); return new Promise(() => {}) })
          bridge.stats()
          parentPort.on('message', () => {})
          parentPort.postMessage('ready')
        \`, { eval: true })
        await once(worker, 'message')
        const read = () => bridge.getSession(process.env.COOKIE)
        // The worker's function is the newest.
        const early = ${whileCalled} && read()
        if (early) await once(worker, 'message')
        await worker.terminate()
        const { session_id } = await (early || read())
        console.log(session_id, called.join())
      }
      main()`)
    expect({ code, output, errors }).toEqual({ code: 0, output: `${sessionId} main`, errors: '' })
  })
})
