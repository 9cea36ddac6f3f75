// No output of this package contains the database's password, however the URL is written and whatever fails.

import { inspect } from 'node:util'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { AuthBridge } from '../index.js'
import { SECRET } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const PASSWORD = 'Hunter'
const database = useDatabase()
let cookie: string

beforeAll(async () => {
  const user = await createUser(database.client)
  cookie = await mintCookie(claimsOf(user, await createSession(database.client, user)), { secret: SECRET })
})

/** All output of a bridge for this URL: errors, results, statistics. */
async function outputOf(databaseUrl: string) {
  const parts: unknown[] = []
  let bridge: AuthBridge
  try {
    bridge = new AuthBridge({ secret: SECRET, databaseUrl, connectTimeout: 1000, callTimeout: 2000 })
  } catch (error) {
    return describe(error)
  }
  parts.push(bridge)
  const stats = async () => bridge.stats()
  const calls = [
    bridge.getSession(cookie),
    bridge.getSessionJson(cookie),
    bridge.explainSession(cookie),
    bridge.health(),
  ]
  for (const outcome of [...(await Promise.allSettled(calls)), ...(await Promise.allSettled([stats()]))]) {
    parts.push(outcome.status === 'fulfilled' ? outcome.value : outcome.reason)
  }
  await bridge.close()
  return parts.map(describe).join('\n')
}

function describe(value: unknown) {
  const error = value instanceof Error ? `${value.message} ${value.stack} ${inspect(value.cause)}` : ''
  return `${inspect(value, { depth: 9, showHidden: true })} ${JSON.stringify(value)} ${error}`
}

test.each([
  `postgres://u:${PASSWORD}@127.0.0.1:1/d`,
  `postgres://u:${PASSWORD}@host.invalid/d`,
  `postgres://u:${PASSWORD}@127.0.0.1:1,host.invalid:2/d`,
  `postgres://u:a@${PASSWORD}@h/d`,
  `postgres://u:?${PASSWORD}=1@h/d`,
  `postgres://u:${PASSWORD}@h:port/d`,
  `postgres://u:${PASSWORD}@h:99999/d`,
  `postgres://u:${PASSWORD}@[::1/d`,
  `postgres://u:${PASSWORD}%ff@h/d`,
  `postgres://u:${PASSWORD}@h/d?sslmode=no`,
  `postgres://u@h/d?password=${PASSWORD}&colour=blue`,
  `postgres://u@127.0.0.1:1/d?password=${PASSWORD}`,
  `postgres//u:${PASSWORD}@h/d`,
  `"postgres://u:${PASSWORD}@h/d"`,
  `u:${PASSWORD}@h/d`,
  `postgres://u@localhost&password=${PASSWORD}`,
  `postgres://u@localhost;password=${PASSWORD}/d`,
  `postgres://u:,${PASSWORD}%40localhost/d`,
  `postgres://u:12,${PASSWORD}%40localhost/d`,
  `postgres://u@h/d?schema=app;password=${PASSWORD}`,
  `postgres://u@h/d?sslrootcert=/ca.pem%20password=${PASSWORD}`,
  `postgres://u@h/d?passw%6Frd=a&${PASSWORD}=1`,
  `postgres://u@h/d?host=localhost;password=${PASSWORD}`,
])('%s', async (url) => {
  const text = await outputOf(url)
  expect(text).toContain('ERR_AUTH_BRIDGE')
  expect(text).not.toContain(PASSWORD)
})

test('a server that rejects the password', async () => {
  const url = new URL(database.url)
  url.password = PASSWORD
  const text = await outputOf(url.href)
  expect(text).toContain('28P01')
  expect(text).not.toContain(PASSWORD)
})

test('any URL', async () => {
  const junk = fc.string({ unit: fc.constantFrom(...'?/:@&=#%, []ab1'), maxLength: 4 })
  const property = fc.asyncProperty(junk, junk, junk, junk, async (user, before, after, rest) => {
    // The only port to connect to has no listener.
    const url = `postgres://${user}:${before}${PASSWORD}${after}@127.0.0.1:1/d?connect_timeout=1&${rest}`
    expect(await outputOf(url)).not.toContain(PASSWORD)
  })
  await fc.assert(property, { numRuns: 300 })
})
