import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AuthBridge } from '../index.js'
import { SECRET } from './support/bridges.js'
import { COOKIE_NAME, mintCookie, SECURE_COOKIE_NAME, signIn } from './support/cookies.mjs'
import { inOneBatch, useDatabase } from './support/database.js'
import { IS_EMULATED } from './support/platform.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const UNAUTHENTICATED = {}

const database = useDatabase()
let bridge: AuthBridge
let user: Awaited<ReturnType<typeof createUser>>
let session: Awaited<ReturnType<typeof createSession>>

beforeAll(() => {
  bridge = new AuthBridge({ secret: SECRET, databaseUrl: database.url })
})
afterAll(() => bridge.close())
beforeEach(async () => {
  user = await createUser(database.client)
  session = await createSession(database.client, user)
})

const mint = (claims: Record<string, unknown>, options = {}) => mintCookie(claims, { secret: SECRET, ...options })
const mine = (more = {}) => claimsOf(user, session, more)

/** The session object of `user` and `session`, for a token with the required claims only. */
const body = () => ({
  session_id: session.session_id,
  login_method: 'credentials',
  user: {
    id: user.user_id,
    email: 'ada@example.com',
    name: '',
    username: '',
    tenant: user.tenant,
    user_type: 'internal',
    addons: [],
    trial_end: null,
    solo_pro_trial_end: null,
    premium_trial_end: null,
    premium_trial_effective_date: null,
    premium_trial_confirmed: false,
    subscription_status: null,
  },
})

describe('a live session', () => {
  test('is the documented object, its fields in order', async () => {
    const found = await bridge.getSession(await mint(mine()))
    expect(JSON.stringify(found)).toBe(JSON.stringify(body()))
  })

  test('whose row does not expire is live', async () => {
    const forever = await createSession(database.client, user, { expires_at: null })
    const found = await bridge.getSession(await mint(claimsOf(user, forever)))
    expect(found.session_id).toBe(forever.session_id)
  })

  test('whose row expires later is live', async () => {
    await database.client.query(`UPDATE sessions SET expires_at = now() + '1 minute'`)
    expect(await bridge.getSession(await mint(mine()))).toEqual(body())
  })

  test('is found by 200 concurrent calls', async () => {
    const cookie = await mint(mine())
    const found = await Promise.all(Array.from({ length: 200 }, () => bridge.getSession(cookie)))
    expect(found).toEqual(Array(200).fill(body()))
  })

  test('200 sessions at a time each get their own result', async () => {
    const sessions: (typeof session)[] = []
    for (let index = 0; index < 200; index++) {
      sessions.push(await createSession(database.client, user, { revoked_at: index % 2 ? new Date() : null }))
    }
    const cookies = await Promise.all(sessions.map((session) => mint(claimsOf(user, session))))
    const found = await Promise.all(cookies.map((cookie) => bridge.getSession(cookie)))
    const expected = sessions.map(({ session_id }, index) => (index % 2 ? undefined : session_id))
    expect(found.map((body) => body.session_id)).toEqual(expected)
  })
})

const change = (set: string) =>
  database.client.query(`UPDATE sessions SET ${set} WHERE session_id = $1`, [session.session_id])

const changeUser = (set: string) => database.client.query(`UPDATE users SET ${set} WHERE user_id = $1`, [user.user_id])

describe('by the state of the database', () => {
  const cases: [string, () => Promise<unknown>][] = [
    ['missing row', () => database.client.query('DELETE FROM sessions WHERE session_id = $1', [session.session_id])],
    ['revoked row', () => change(`revoked_at = now(), revoked_reason = 'stolen'`)],
    ['row revoked in the future', () => change(`revoked_at = now() + '1 hour'`)],
    ['expired row', () => change(`expires_at = now() - interval '1 second'`)],
    ['user deleted', () => database.client.query('DELETE FROM users WHERE user_id = $1', [user.user_id])],
    ['user moved to another tenant', () => changeUser('tenant = gen_random_uuid()')],
    ['user type changed', () => changeUser(`user_type = 'client'`)],
    [
      'row given to another user',
      async () => {
        const { user_id } = await createUser(database.client, { tenant: user.tenant })
        await change(`user_id = '${user_id}'`)
      },
    ],
  ]
  test.each(cases)('%s: unauthenticated from the next call on', async (_, change) => {
    const cookie = await mint(mine())
    expect(await bridge.getSession(cookie)).toEqual(body())
    await change()
    expect(await bridge.getSession(cookie)).toEqual(UNAUTHENTICATED)
  })

  test.each([false, true])('also in a query for many sessions: sharded %s', async (sharded) => {
    const bridge = new AuthBridge({ secret: SECRET, databaseUrl: database.url, sharded, maxConnections: 1 })
    const { tenant } = user
    const ended: string[] = []
    for (const [, change] of cases) {
      user = await createUser(database.client, { tenant })
      session = await createSession(database.client, user)
      ended.push(await mint(mine()))
      await change()
    }
    user = await createUser(database.client, { tenant })
    session = await createSession(database.client, user)
    const live = await mint(mine())
    const found = await inOneBatch(database.client, [live, ...ended, live], (cookie) => bridge.getSession(cookie))
    expect(found).toEqual([body(), ...ended.map(() => UNAUTHENTICATED), body()])
    expect(bridge.stats().batches.max).toBe(ended.length + 1)
    await bridge.close()
  })

  test('with ignoreExpiresAt an expired row is live, a revoked one is not', async () => {
    const lenient = new AuthBridge({ secret: SECRET, databaseUrl: database.url, ignoreExpiresAt: true })
    const cookie = await mint(mine())
    await change(`expires_at = now() - interval '1 day'`)
    expect(await lenient.getSession(cookie)).toEqual(body())
    await change('revoked_at = now()')
    expect(await lenient.getSession(cookie)).toEqual(UNAUTHENTICATED)
    await lenient.close()
  })
})

test('under load, no call that starts after a revocation has committed returns the session', {
  timeout: IS_EMULATED ? 180_000 : 60_000,
}, async () => {
  const CALLS = 100_000
  const sessions: { id: string; cookie: string; revoked: boolean }[] = []
  for (let index = 0; index < 500; index++) {
    const live = await createSession(database.client, user)
    sessions.push({ id: live.session_id, cookie: await mint(claimsOf(user, live)), revoked: false })
  }
  const random = <T>(list: T[]) => list[Math.floor(Math.random() * list.length)] as T
  const count = { calls: 0, live: 0, revoked: 0, stale: 0 }
  const reader = async () => {
    while (count.calls < CALLS) {
      count.calls++
      const asked = random(sessions)
      const wasRevoked = asked.revoked
      const { session_id } = await bridge.getSession(asked.cookie)
      if (session_id) expect(session_id).toBe(asked.id)
      if (!wasRevoked) count.live += session_id ? 1 : 0
      else if (session_id) count.stale++
      else count.revoked++
    }
  }
  const writer = async () => {
    for (let left = sessions.length; left > 0 && count.calls < CALLS; left--) {
      const chosen = random(sessions.filter(({ revoked }) => !revoked))
      await database.client.query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [chosen.id])
      chosen.revoked = true
      expect(await bridge.getSession(chosen.cookie)).toEqual(UNAUTHENTICATED)
    }
  }
  await Promise.all([writer(), ...Array.from({ length: 64 }, reader)])
  expect(count).toMatchObject({ calls: CALLS, stale: 0 })
  expect(count.live).toBeGreaterThan(1000)
  expect(count.revoked).toBeGreaterThan(1000)
})

describe('by the claims of the token', () => {
  const cases: [string, () => unknown | Promise<unknown>][] = [
    [
      "another user's session",
      async () => claimsOf(await createUser(database.client, { tenant: user.tenant }), session),
    ],
    [
      'user of another tenant, same ids',
      async () => {
        const elsewhere = await createUser(database.client, { user_id: user.user_id })
        return mine({ tenant: elsewhere.tenant })
      },
    ],
    ["tenant that doesn't exist", () => mine({ tenant: randomUUID() })],
    ['other user type', () => mine({ user_type: 'client' })],
    ['unknown user type', () => mine({ user_type: 'admin' })],
    ['no session_id', () => mine({ session_id: undefined })],
    ['no tenant', () => mine({ tenant: undefined })],
    ['no user', () => mine({ id: undefined, sub: undefined })],
    ['no user type', () => mine({ user_type: undefined })],
    ['session_id null', () => mine({ session_id: null })],
    ['session_id not a UUID', () => mine({ session_id: 'session' })],
    ['session_id a UUID in braces', () => mine({ session_id: `{${session.session_id}}` })],
    ['session_id without hyphens', () => mine({ session_id: session.session_id.replaceAll('-', '') })],
    ['session_id with SQL', () => mine({ session_id: `${session.session_id}' OR true --` })],
    ['tenant not a UUID', () => mine({ tenant: 'acme' })],
    ['tenant an array', () => mine({ tenant: [user.tenant] })],
    ['id not a UUID', () => mine({ id: '1' })],
  ]
  test.each(cases)('%s: unauthenticated', async (_, claims) => {
    const cookie = await mint((await claims()) as Record<string, unknown>)
    expect(await bridge.getSession(cookie)).toEqual(UNAUTHENTICATED)
    expect(await bridge.getSession(await mint(mine()))).toEqual(body())
  })

  test('the session key is neither jti nor iat: a refreshed token is the same session', async () => {
    // Auth.js sets new ones whenever it refreshes the token.
    const seal = (claims: object) => mintCookie({ ...mine(), ...claims }, { secret: SECRET })
    const now = Math.floor(Date.now() / 1000)
    const cookies = [await seal({ iat: now - 3600, jti: 'first' }), await seal({ iat: now, jti: 'second' })]
    for (const cookie of cookies) expect(await bridge.getSession(cookie)).toEqual(body())
    await change('revoked_at = now()')
    for (const cookie of cookies) expect(await bridge.getSession(cookie)).toEqual(UNAUTHENTICATED)
  })

  test.each([
    ['expired', -60, false],
    ['expired within the clock tolerance', -5, true],
    ['long lived', 365 * 24 * 3600, true],
  ])('%s', async (_, maxAge, authenticated) => {
    const cookie = await mint(mine(), { maxAge })
    expect(await bridge.getSession(cookie)).toEqual(authenticated ? body() : UNAUTHENTICATED)
  })
})

describe('cookies', () => {
  test('of a real sign-in, whole', async () => {
    const header = await signIn(mine(), { secret: SECRET })
    expect(header).toContain(`${COOKIE_NAME}=`)
    expect(await bridge.getSession(header)).toEqual(body())
  })

  test('of a real sign-in over https, in chunks, in any order in the header', async () => {
    const plan = 'p'.repeat(9000)
    const header = await signIn(mine({ plan }), { secret: SECRET, origin: 'https://app.example' })
    expect(header).toContain(`${SECURE_COOKIE_NAME}.2=`)
    for (const order of [header, header.split('; ').reverse().join('; ')]) {
      const found = await bridge.getSession(order)
      expect(found.user?.plan).toBe(plan)
    }
    const withoutFirst = header.replace(`${SECURE_COOKIE_NAME}.0=`, 'other=')
    expect(await bridge.getSession(withoutFirst)).toEqual(UNAUTHENTICATED)
  })

  test('percent-encoded', async () => {
    const [name, value] = (await mint(mine())).split('=')
    expect(await bridge.getSession(`${name}=${value?.replaceAll('.', '%2E')}`)).toEqual(body())
  })

  test.each([
    ['undefined', undefined],
    ['null', null],
    ['empty', ''],
    ['no session cookie', 'theme=dark; csrf=1'],
    ['garbage', `${COOKIE_NAME}=garbage`],
    ['garbage in the form of a token', `${COOKIE_NAME}=a.b.c.d.e`],
    ['a header over 64 KiB', `${COOKIE_NAME}=${'x'.repeat(65_536)}`],
    ['a token over 32 KiB', `${COOKIE_NAME}=${'x'.repeat(32_769)}`],
    ['a NUL and other control characters', `${COOKIE_NAME}=a\0b\n\r; \0`],
    ['lone surrogates', `${COOKIE_NAME}=\ud800\udfff\udc00`],
    ['broken percent-encoding', `${COOKIE_NAME}=%E0%A4%A`],
  ])('%s: unauthenticated', async (_, header) => {
    expect(await bridge.getSession(header)).toEqual(UNAUTHENTICATED)
  })

  test.each(['x', 'é', '€', '😀'])('a header of 64 KiB is read, one byte more is not: with %s', async (character) => {
    const start = `${await mint(mine())}; x=`
    const filled = (bytes: number) => {
      const room = bytes - start.length
      const size = Buffer.byteLength(character)
      return start + 'x'.repeat(room % size) + character.repeat(room / size)
    }
    expect(await bridge.getSession(filled(65_536))).toEqual(body())
    expect(await bridge.getSession(filled(65_537))).toEqual(UNAUTHENTICATED)
    expect(await bridge.getSession(filled(1_000_000))).toEqual(UNAUTHENTICATED)
  })

  test('the key depends on the cookie name', async () => {
    const name = 'authjs.session-token.3000'
    const own = new AuthBridge({ secret: SECRET, databaseUrl: database.url, cookieName: name })
    expect(await own.getSession(await mint(mine(), { name }))).toEqual(body())
    expect(await own.getSession(await mint(mine()))).toEqual(UNAUTHENTICATED)
    const foreign = (await mint(mine())).replace(COOKIE_NAME, name)
    expect(await own.getSession(foreign)).toEqual(UNAUTHENTICATED)
    await own.close()
  })
})

describe('secret rotation', () => {
  const [newest, middle, oldest, foreign] = ['newest secret', 'middle secret', 'oldest secret', 'foreign secret']
  let rotated: AuthBridge
  beforeAll(() => {
    rotated = new AuthBridge({ secret: [newest, middle, oldest], databaseUrl: database.url })
  })
  afterAll(() => rotated.close())

  test.each([
    [newest, true],
    [middle, true],
    [oldest, true],
    [foreign, false],
  ])('%s', async (secret, authenticated) => {
    const cookie = await mint(mine(), { secret })
    expect(await rotated.getSession(cookie)).toEqual(authenticated ? body() : UNAUTHENTICATED)
  })
})
