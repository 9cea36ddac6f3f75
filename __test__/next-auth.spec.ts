import { encode as encode4 } from 'next-auth-4/jwt'
import { encode as encode5 } from 'next-auth-5/jwt'
import { beforeAll, describe, expect, test } from 'vitest'
import type { AuthBridgeOptions } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { SECURE_COOKIE_NAME as SECURE_V5, COOKIE_NAME as V5 } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const V4 = 'next-auth.session-token'
const SECURE_V4 = `__Secure-${V4}`

const database = useDatabase()
let user: Awaited<ReturnType<typeof createUser>>
let session: Awaited<ReturnType<typeof createSession>>
let newer: Awaited<ReturnType<typeof createSession>>
beforeAll(async () => {
  user = await createUser(database.client)
  session = await createSession(database.client, user)
  newer = await createSession(database.client, user)
})

const open = useBridges()
const connect = (options: AuthBridgeOptions) => open(database.url, options)

const mint4 = (of = session, secret = SECRET) => encode4({ token: claimsOf(user, of), secret })
const mint5 = (salt: string, of = session) => encode5({ token: claimsOf(user, of), secret: SECRET, salt })

describe('next-auth 4', () => {
  test.each([V4, SECURE_V4])('%s', async (name) => {
    const bridge = connect({ cookieName: name })
    expect((await bridge.getSession(`${name}=${await mint4()}`)).session_id).toBe(session.session_id)
    expect(await bridge.getSession(`${name}=${await mint4(session, 'other')}`)).toEqual({})
  })

  test('in chunks, with a rotated secret', async () => {
    const bridge = connect({ cookieName: V4, secret: ['new', 'old'] })
    const token = await mint4(session, 'old')
    const chunks = [token.slice(0, 100), token.slice(100, 300), token.slice(300)]
    const header = chunks.map((chunk, index) => `${V4}.${index}=${chunk}`).join('; ')
    expect((await bridge.getSession(header)).session_id).toBe(session.session_id)
  })

  test('a name of your own, with the issuer in the option', async () => {
    const header = `sid=${await mint4()}`
    const told = connect({ cookieName: { name: 'sid', issuer: 'next-auth-v4' } })
    expect((await told.getSession(header)).session_id).toBe(session.session_id)
    expect(await connect({ cookieName: 'sid' }).getSession(header)).toEqual({})
  })
})

describe('next-auth 5', () => {
  test.each([V5, SECURE_V5])('%s', async (name) => {
    const bridge = connect({ cookieName: name })
    expect((await bridge.getSession(`${name}=${await mint5(name)}`)).session_id).toBe(session.session_id)
  })
})

describe('both during a migration', () => {
  const cookieName = [SECURE_V5, SECURE_V4, V5, V4]

  test.each<[string, () => Promise<string>, () => string | undefined]>([
    ['next-auth 4 alone', async () => `${SECURE_V4}=${await mint4()}`, () => session.session_id],
    ['next-auth 5 alone', async () => `${SECURE_V5}=${await mint5(SECURE_V5)}`, () => session.session_id],
    [
      'both: the newer token',
      async () => `${SECURE_V4}=${await mint4()}; ${SECURE_V5}=${await mint5(SECURE_V5, newer)}`,
      () => newer.session_id,
    ],
    [
      'garbage in the first: the other counts',
      async () => `${SECURE_V4}=${await mint4()}; ${SECURE_V5}=x`,
      () => session.session_id,
    ],
    [
      'plain cookies are ignored if there is a secure one',
      async () => `${V5}=${await mint5(V5)}; ${SECURE_V4}=${await mint4(newer)}`,
      () => newer.session_id,
    ],
    ["next-auth 4's token in the other cookie", async () => `${SECURE_V5}=${await mint4()}`, () => undefined],
    ["next-auth 5's token in the other cookie", async () => `${SECURE_V4}=${await mint5(SECURE_V4)}`, () => undefined],
  ])('%s', async (_, header, expected) => {
    expect((await connect({ cookieName }).getSession(await header())).session_id).toBe(expected())
  })

  test('secure cookies go first, whatever the order of the list', async () => {
    const bridge = connect({ cookieName: [V4, SECURE_V5] })
    const header = `${V4}=${await mint4()}; ${SECURE_V5}=${await mint5(SECURE_V5, newer)}`
    expect((await bridge.getSession(header)).session_id).toBe(newer.session_id)
  })
})
