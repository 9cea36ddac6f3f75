// Processes and worker threads can end with calls in flight in every way, with the expected exit code, and without any output
// of this package on stderr.

import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { SECRET } from './support/bridges.js'
import { createAuthority } from './support/certificates.js'
import { mintCookie } from './support/cookies.mjs'
import { withClient } from './support/faults.js'
import { startPostgres } from './support/postgres.mjs'
import { runScript } from './support/script.js'
import { claimsOf, createSession, createTables, createUser } from './support/tenants.mjs'

const ADDON = fileURLToPath(new URL('..', import.meta.url))
/** Each process ends a little later than the one before: from before the first connection until results arrive. */
const PROCESSES = 10
const STEP_MS = 8
const IN_FLIGHT = 20

let server: Awaited<ReturnType<typeof startPostgres>>
let env: Record<string, string>

beforeAll(async () => {
  // With TLS, since OpenSSL has its own exit handlers.
  const authority = await createAuthority('authority')
  server = await startPostgres({}, await authority.sign('localhost'))
  const cookie = await withClient(server.url(), async (client) => {
    await createTables(client)
    const user = await createUser(client)
    return mintCookie(claimsOf(user, await createSession(client, user)), { secret: SECRET })
  })
  env = { AUTH_SECRET: SECRET, DATABASE_URL: `${server.url()}?sslmode=require`, COOKIE: cookie, ADDON }
})
afterAll(() => server.dispose())

/** Keeps this many promises unsettled; `COUNT_AT_EXIT` prints their number. */
const LOAD = `
  const { AuthBridge } = require(process.env.ADDON)
  const bridge = new AuthBridge()
  let unsettled = 0
  async function keepCalling() {
    unsettled++
    await bridge.getSession(process.env.COOKIE)
    unsettled--
    keepCalling()
  }
  for (let count = 0; count < ${IN_FLIGHT}; count++) keepCalling()`
const COUNT_AT_EXIT = `process.on('exit', () => console.log(unsettled))`
const loadedWorker = (source: string) => `
  const { Worker } = require('node:worker_threads')
  const worker = new Worker(${JSON.stringify(`${LOAD}\n${source}`)}, { eval: true })`

interface Ending {
  script: (delay: number) => string
  code?: number
  errors?: RegExp
  /** The output, by default the number of unsettled promises. */
  output?: string
}
const endings: Record<string, Ending> = {
  'by itself, after all calls': {
    script: () => `
      const { AuthBridge } = require(process.env.ADDON)
      const bridge = new AuthBridge()
      const calls = Array.from({ length: ${IN_FLIGHT} }, () => bridge.getSession(process.env.COOKIE))
      Promise.all(calls).then((bodies) => console.log(bodies.filter(({ user }) => user).length))`,
  },
  'process.exit() at once': { script: () => `${LOAD}\n${COUNT_AT_EXIT}\nprocess.exit()` },
  'process.exit() later': {
    script: (delay) => `${LOAD}\n${COUNT_AT_EXIT}\nsetTimeout(process.exit, ${delay}, 0)`,
  },
  'process.exit() in the handler of a result': {
    script: (delay) => `${LOAD}\n${COUNT_AT_EXIT}
      setTimeout(() => bridge.getSession(process.env.COOKIE).then(() => process.exit(7)), ${delay})`,
    code: 7,
  },
  'an uncaught exception': {
    script: (delay) => `${LOAD}\n${COUNT_AT_EXIT}\nsetTimeout(() => { throw new Error('of the app') }, ${delay})`,
    code: 1,
    errors: /^\[eval\]:\d+\n.*\n\s*\^\n\nError: of the app\n( {4}at .*\n)+\nNode\.js v.*\n$/,
  },
  'an unhandled rejection': {
    script: (delay) => `${LOAD}\n${COUNT_AT_EXIT}
      setTimeout(() => bridge.getSession(7), ${delay})`,
    code: 1,
    errors:
      /Error: cookieHeader: must be .*, not number\n[\s\S]*code: 'ERR_AUTH_BRIDGE_ARGUMENT'\n}\n\nNode\.js v.*\n$/,
  },
  'while bridges close': {
    script: (delay) => `${LOAD}\n${COUNT_AT_EXIT}
      setTimeout(() => { bridge.close(); process.exit() }, ${delay})`,
  },
  'a worker is terminated': {
    script: (delay) => `${loadedWorker('')}
      worker.once('online', () => setTimeout(() => worker.terminate().then(console.log), ${delay}))`,
    output: '1',
  },
  'a worker calls process.exit()': {
    script: (delay) => `${loadedWorker(`setTimeout(process.exit, ${delay}, 5)`)}
      worker.once('exit', console.log)`,
    output: '5',
  },
  'process.exit() while a worker and the main thread call': {
    script: (delay) => `${LOAD}\n${COUNT_AT_EXIT}\n${loadedWorker('')}
      worker.once('online', () => setTimeout(process.exit, ${delay}, 0))`,
  },
}

test.each(Object.entries(endings))(
  '%s',
  { timeout: 60_000 },
  async (_, { script, code = 0, errors = /^$/, output = String(IN_FLIGHT) }) => {
    for (let index = 0; index < PROCESSES; index++) {
      const ended = await runScript(script(index * STEP_MS), env)
      expect(ended, `process ${index}`).toEqual({ code, signal: null, output, errors: expect.stringMatching(errors) })
    }
  },
)
