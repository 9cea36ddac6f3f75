// Tests of the native part that need no database, so that they run on each platform: loading, keys, tokens, claims, errors.

import { encode as encodeV4 } from 'next-auth-4/jwt'
import { afterAll, describe, expect, test } from 'vitest'
import { AuthBridge, versions } from '../../index.js'
import manifest from '../../package.json' with { type: 'json' }
import { SECRET } from '../support/bridges.js'
import { COOKIE_NAME, mintCookie, SECURE_COOKIE_NAME } from '../support/cookies.mjs'
import { freePort } from '../support/postgres.mjs'

const CLAIMS = {
  id: 'a9a6b1ae-3a5f-4a58-9e8b-53b6a1a0f0d1',
  tenant: '6d7d2a0f-7b1e-4f5e-8a53-0b9a2c8f1e44',
  session_id: '0f4f6a3e-52c5-4b1b-8d0e-6f1c7a9b3d22',
  user_type: 'internal',
}
const V4_NAME = 'next-auth.session-token'

const databaseUrl = `postgres://nobody@127.0.0.1:${await freePort()}/nothing`
const bridge = new AuthBridge({ secret: SECRET, databaseUrl, cookieName: [COOKIE_NAME, V4_NAME] })
afterAll(() => bridge.close())

const v5 = (maxAge?: number) => mintCookie(CLAIMS, { secret: SECRET, maxAge })
const v4 = async (maxAge?: number) => `${V4_NAME}=${await encodeV4({ token: CLAIMS, secret: SECRET, maxAge })}`

test('a request without a session cookie is unauthenticated', async () => {
  expect(await bridge.getSession('theme=dark')).toEqual({})
  expect(await bridge.getSession(`${SECURE_COOKIE_NAME}=of-another-name`)).toEqual({})
})

describe.each([
  ['Auth.js v5', v5],
  ['NextAuth v4', v4],
])('a token of %s', (_, mint) => {
  test('is decrypted: the reason is token-expired', async () => {
    expect(await bridge.explainSession(await mint(-60))).toMatchObject({ reason: 'token-expired' })
  })

  test('is refused after a change', async () => {
    const cookie = await mint()
    const changed = cookie.slice(0, -10) + (cookie.at(-10) === 'A' ? 'B' : 'A') + cookie.slice(-9)
    expect(await bridge.explainSession(changed)).toMatchObject({ reason: 'undecryptable' })
    expect(await bridge.getSession(changed)).toEqual({})
  })

  test('that is valid rejects while the database is down', async () => {
    await expect(bridge.getSession(await mint())).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_DATABASE' })
  })
})

test('a wrong option is named', () => {
  expect(() => new AuthBridge({ secret: SECRET, databaseUrl: 'mysql://host/database' })).toThrow(
    expect.objectContaining({ code: 'ERR_AUTH_BRIDGE_CONFIG', message: expect.stringContaining('databaseUrl') }),
  )
})

test('returns its versions', () => {
  expect(versions()).toEqual({ authjsBridge: manifest.version, openssl: expect.stringMatching(/^\d+\.\d+\.\d+$/) })
})
