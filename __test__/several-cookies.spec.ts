// A browser sends several session cookies if they were set for different domains or paths, partitioned and not, or by an older
// version of the app. Their order says nothing: the newest session that is live is the answer.

import { encode } from '@auth/core/jwt'
import { encode as encode4 } from 'next-auth-4/jwt'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { AuthBridge } from '../index.js'
import { SECRET } from './support/bridges.js'
import { SECURE_COOKIE_NAME as SECURE, COOKIE_NAME as V5 } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const V4 = 'next-auth.session-token'
const HOST = '__Host-authjs.session-token'
const MINUTE = 60_000

const database = useDatabase()
let bridge: AuthBridge
/** Tokens by session, cookie name and age in minutes, as the issuers write them. */
const tokens = new Map<string, string>()
const sessions: Record<string, Awaited<ReturnType<typeof createSession>>> = {}

beforeAll(async () => {
  bridge = new AuthBridge({ secret: SECRET, databaseUrl: database.url, cookieName: [V5, V4, SECURE, HOST] })
  const user = await createUser(database.client)
  const other = await createUser(database.client, { tenant: user.tenant })
  const owners: Record<string, typeof user> = { live: user, second: user, revoked: user, expired: user, other }
  for (const [name, owner] of Object.entries(owners)) {
    sessions[name] = await createSession(database.client, owner, {
      revoked_at: name === 'revoked' ? new Date() : null,
      expires_at: name === 'expired' ? new Date(Date.now() - MINUTE) : null,
    })
  }
  for (const [session, owner] of Object.entries(owners)) {
    for (const name of [V5, V4, SECURE, HOST]) {
      for (const age of [0, 1, 2]) {
        const claims = claimsOf(owner, sessions[session] ?? { session_id: '', login_method: '' }, {
          name: `${age} minutes old`,
        })
        tokens.set(`${session} ${name} ${age}`, await issue(claims, name, age))
      }
    }
  }
})
afterAll(() => bridge.close())

async function issue(token: Record<string, unknown>, name: string, age: number) {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - age * MINUTE })
  try {
    return name === V4 ? await encode4({ token, secret: SECRET }) : await encode({ token, secret: SECRET, salt: name })
  } finally {
    vi.useRealTimers()
  }
}

const token = (session: string, { name = V5, age = 0 } = {}) => tokens.get(`${session} ${name} ${age}`) ?? ''
const whole = (session: string, options: { name?: string; age?: number } = {}) =>
  `${options.name ?? V5}=${token(session, options)}`
/** Cut in so many parts. */
function chunks(session: string, count: number, options: { name?: string; age?: number } = {}) {
  const text = token(session, options)
  const size = Math.ceil(text.length / count)
  return Array.from({ length: count }, (_, index) => {
    return `${options.name ?? V5}.${index}=${text.slice(index * size, (index + 1) * size)}`
  })
}
const row = (name: string) => sessions[name]?.session_id

describe('the newest session that is live is the answer', () => {
  test.each<[string, () => string[], string | undefined]>([
    ['a revoked one first', () => [whole('revoked'), whole('live', { age: 1 })], 'live'],
    ['a revoked one last', () => [whole('live', { age: 1 }), whole('revoked')], 'live'],
    ['an expired row', () => [whole('expired'), whole('live', { age: 2 })], 'live'],
    ['an empty one', () => [`${V5}=`, whole('live')], 'live'],
    ['garbage on both sides', () => [`${V5}=x.y.z`, whole('live'), `${V5}=%`], 'live'],
    [
      'two that are live',
      () => [whole('second', { age: 1 }), whole('live', { age: 0 }), whole('second', { age: 2 })],
      'live',
    ],
    ['two that are live, the other way round', () => [whole('live', { age: 1 }), whole('second')], 'second'],
    ['of two users', () => [whole('other', { age: 1 }), whole('live')], 'live'],
    ['of two users, the newer one revoked', () => [whole('other', { age: 1 }), whole('revoked')], 'other'],
    ['all revoked or expired', () => [whole('revoked'), whole('expired', { age: 1 })], undefined],
    ['a revoked whole one beside live chunks', () => [whole('revoked'), ...chunks('live', 3, { age: 1 })], 'live'],
    ['a live whole one beside revoked chunks', () => [...chunks('revoked', 2), whole('live', { age: 1 })], 'live'],
    ['chunks of two cookies', () => [...chunks('revoked', 2), ...chunks('live', 3, { age: 1 })], 'live'],
    [
      'chunks of two cookies, the longer one first',
      () => [...chunks('live', 3, { age: 1 }), ...chunks('revoked', 2)],
      'live',
    ],
    ['v5 revoked beside v4 live', () => [whole('revoked'), whole('live', { name: V4, age: 1 })], 'live'],
    ['v4 revoked beside v5 live', () => [whole('revoked', { name: V4 }), whole('live', { age: 1 })], 'live'],
    ['v5 chunks revoked beside v4 live', () => [...chunks('revoked', 2), whole('live', { name: V4, age: 2 })], 'live'],
  ])('%s', async (_, cookies, expected) => {
    const session = await bridge.getSession(cookies().join('; '))
    expect(session.session_id).toBe(expected && row(expected))
    expect(JSON.parse(await bridge.getSessionJson(cookies().join(';')))).toEqual(session)
    const explanation = await bridge.explainSession(cookies().join('; '))
    expect(explanation.status).toBe(expected ? 'authenticated' : 'unauthenticated')
    if (expected && 'session' in explanation) expect(explanation.session.sessionId).toBe(row(expected))
  })

  test('of several tokens of one session the newest gives the object', async () => {
    const ages = [2, 0, 1].map((age) => whole('live', { age }))
    const session = await bridge.getSession(ages.join('; '))
    expect(session.user?.name).toBe('0 minutes old')
  })
})

describe('a cookie with a stronger prefix hides weaker ones', () => {
  test.each<[string, () => string[], string | undefined]>([
    ['__Secure- beside plain', () => [whole('revoked', { name: SECURE, age: 2 }), whole('live')], undefined],
    [
      '__Host- beside __Secure-',
      () => [whole('live', { name: SECURE }), whole('revoked', { name: HOST, age: 2 })],
      undefined,
    ],
    ['__Host- garbage beside __Secure-', () => [whole('live', { name: SECURE }), `${HOST}=x`], undefined],
    [
      'two __Secure-, beside plain',
      () => [whole('revoked', { name: SECURE }), whole('live', { name: SECURE, age: 2 }), whole('second')],
      'live',
    ],
  ])('%s', async (_, cookies, expected) => {
    const session = await bridge.getSession(cookies().join('; '))
    expect(session.session_id).toBe(expected && row(expected))
  })
})

test('one query if the newest is live, two in all if it is not', async () => {
  const counting = new AuthBridge({ secret: SECRET, databaseUrl: database.url })
  await counting.getSession([whole('live'), whole('second', { age: 1 }), whole('revoked', { age: 2 })].join('; '))
  expect(counting.stats().batches).toMatchObject({ count: 1, sum: 1 })
  await counting.getSession([whole('revoked'), whole('second', { age: 1 }), whole('live', { age: 2 })].join('; '))
  expect(counting.stats().batches).toMatchObject({ count: 3, sum: 4 })
  expect(counting.stats().calls).toMatchObject({ authenticated: 2, unauthenticated: 0, failed: 0, pending: 0 })
  await counting.close()
})

test('at most eight sessions are looked up', async () => {
  const user = await createUser(database.client)
  const many: string[] = []
  for (let age = 0; age < 9; age++) {
    const session = await createSession(database.client, user, { revoked_at: age < 8 ? new Date() : null })
    many.push(`${V5}=${await issue(claimsOf(user, session), V5, age)}`)
  }
  expect(await bridge.getSession(many.join('; '))).toEqual({})
  expect(await bridge.getSession(many.slice(1).join('; '))).toHaveProperty('user')
  const explanation = await bridge.explainSession(many.join('; '))
  expect(explanation.readings?.map(({ reason }) => reason)).toEqual([...Array(8).fill('session-revoked'), 'not-asked'])
})

test('requests with sessions of different users are counted', async () => {
  const counting = new AuthBridge({ secret: SECRET, databaseUrl: database.url })
  for (const second of ['second', 'other', 'other']) {
    await counting.getSession([whole('live'), whole(second, { age: 1 })].join('; '))
  }
  expect(counting.stats().severalUsers).toBe(2)
  await counting.close()
})

test('the explanation lists every reading and its result', async () => {
  const cookies = [
    whole('revoked'),
    `${V5}=x`,
    whole('live', { age: 2 }),
    whole('live', { age: 1 }),
    ...chunks('expired', 2, { age: 2 }),
    whole('second', { name: V4, age: 2 }),
  ]
  const { readings, ...explanation } = await bridge.explainSession(cookies.join('; '))
  expect(explanation).toMatchObject({ status: 'authenticated', reason: 'live', session: { sessionId: row('live') } })
  expect(readings?.map(({ name, whole, reason, session }) => [name, whole, reason, session?.sessionId])).toEqual([
    [V5, true, 'session-revoked', row('revoked')],
    [V5, true, 'malformed-token', undefined],
    [V5, true, 'older-token', row('live')],
    [V5, true, 'live', row('live')],
    [V5, false, 'session-expired', row('expired')],
    [V4, true, 'live', row('second')],
  ])
  const hidden = await bridge.explainSession([whole('revoked', { name: SECURE }), whole('live')].join('; '))
  expect(hidden.reason).toBe('session-revoked')
  expect(hidden.readings?.map(({ name, reason }) => [name, reason])).toEqual([
    [SECURE, 'session-revoked'],
    [V5, 'weaker-prefix'],
  ])
})
