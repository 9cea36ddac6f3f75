// `getSessionJson` returns the same as `JSON.stringify(await getSession(..))`.

import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AuthBridge, getSessionJson } from '../index.js'
import { SECRET } from './support/bridges.js'
import { COOKIE_NAME } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { compact, deriveKey, seal } from './support/forge.js'
import { freePort } from './support/postgres.mjs'
import { bodyOf } from './support/reference.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const database = useDatabase()
let bridge: AuthBridge
let claims: Record<string, unknown>
beforeAll(async () => {
  bridge = new AuthBridge({ secret: SECRET, databaseUrl: database.url })
  const user = await createUser(database.client)
  claims = { ...claimsOf(user, await createSession(database.client, user)), exp: 4_102_444_800 }
})
afterAll(() => bridge.close())

/** A cookie whose token has any JSON text as its claims. */
function cookie(json: string) {
  const key = deriveKey(SECRET, 'A256CBC-HS512')
  return `${COOKIE_NAME}=${compact(seal(key, 'A256CBC-HS512', Buffer.from(json)))}`
}

async function expectSame(header: string | null | undefined) {
  const [text, body] = await Promise.all([bridge.getSessionJson(header), bridge.getSession(header)])
  expect(text).toBe(JSON.stringify(body))
  return text
}

test.each<[string, string | null | undefined]>([
  ['no header', undefined],
  ['null', null],
  ['no cookie', 'theme=dark'],
  ['garbage', `${COOKIE_NAME}=x`],
])('%s: {}', async (_, header) => {
  expect(await expectSame(header)).toBe('{}')
})

test.each([
  ['plain', 'Ada'],
  ['not ASCII', 'Ada é € 😀'],
  ['a slash and letters, escaped', '\\u0041d\\u0061\\/'],
  ['short escapes', '\\"\\\\\\b\\f\\n\\r\\t'],
  ['short escapes as numbers', '\\u0022\\u005c\\u0008\\u000C\\u000a\\u000D\\u0009'],
  ['other control characters', '\\u0000\\u001F\\u007f'],
  ['a surrogate pair, escaped', '\\uD83D\\uDE00'],
  ['lone surrogates', '\\uD83D \\uDE00\\uD83D'],
  ['line separators', '\u2028\\u2029'],
])('%s', async (_, name) => {
  const json = JSON.stringify({ ...claims, addons: ['NAME'], name: 'NAME' }).replaceAll('NAME', () => name)
  expect(JSON.parse(await expectSame(cookie(json))).user).toMatchObject({
    name: JSON.parse(`"${name}"`),
    addons: [JSON.parse(`"${name}"`)],
  })
})

test('any claims, in any spelling', async () => {
  const utf16 = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) })
  const value = fc.oneof(utf16, fc.array(utf16, { maxLength: 3 }), fc.jsonValue())
  const names = ['name', 'email', 'image', 'addons', 'login_method', 'trial_end', 'plan', 'subscription_status']
  const some = fc.record(Object.fromEntries(names.map((name) => [name, value])), { requiredKeys: [] })
  const escaped = (text: string) =>
    `"${Array.from({ length: text.length }, (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')}"`
  /** Escapes every character of strings, at the top level and in lists. */
  const respelled = (claims: object) => {
    const spell = (value: unknown): string => {
      if (typeof value === 'string') return escaped(value)
      return Array.isArray(value) ? `[${value.map(spell).join()}]` : JSON.stringify(value)
    }
    const members = Object.entries(claims).map(([name, value]) => `${escaped(name)}:${spell(value)}`)
    return `{${members.join()}}`
  }
  await fc.assert(
    fc.asyncProperty(some, fc.boolean(), async (more, isRespelled) => {
      const all = { ...claims, ...more }
      const json = isRespelled ? respelled(all) : JSON.stringify(all)
      expect(await expectSame(cookie(json))).toBe(JSON.stringify(bodyOf(JSON.parse(json))))
    }),
    { numRuns: 500 },
  )
})

test('rejects where getSession does, with the same code', async () => {
  const down = new AuthBridge({ secret: SECRET, databaseUrl: `postgres://u@127.0.0.1:${await freePort()}/d` })
  const header = cookie(JSON.stringify(claims))
  await expect(down.getSessionJson(header)).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_DATABASE' })
  await down.close()
  await expect(down.getSessionJson(header)).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_CLOSED' })
  await expect(bridge.getSessionJson(7 as never)).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_ARGUMENT' })
})

test('the module exports it, too', async () => {
  expect(await getSessionJson('theme=dark')).toBe('{}')
  await expect(getSessionJson(cookie('{}'))).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_CONFIG' })
})
