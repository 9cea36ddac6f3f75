// Generates the vectors: MAKE_VECTORS=1 npx vitest run vectors. Commit new vectors only to change a format on purpose: they
// record what the issuers wrote when the vectors were made, so that tests notice a change of the issuers.

import { writeFile } from 'node:fs/promises'
import { encode as encode5 } from '@auth/core/jwt'
import { encode as encode4 } from 'next-auth-4/jwt'
import { compact, deriveKey, seal } from '../support/forge.js'
import { bodyOf, type Claims, type Issuer } from '../support/reference.js'

/** The clock of every vector, in seconds since 1970. */
export const NOW = 1_800_000_000
const SECRET = 'the secret of the vectors, 32 bytes'
const OLD_SECRET = 'the secret before the last rotation'
const V5 = 'authjs.session-token'
const SECURE_V5 = '__Secure-authjs.session-token'
const V4 = 'next-auth.session-token'
const ID = '0b8f6d4e-0000-4000-8000-000000000001'

export interface Vector {
  case: string
  /** The `Cookie` header. */
  header: string
  issuer: Issuer
  /** The session cookie's name. */
  name: string
  /** Newest first. */
  secrets: string[]
  /** Seconds since 1970. */
  now: number
  /** The session object if the session is live, or why the request has no session. */
  outcome: { body: object } | { refused: string }
}

const CLAIMS: Claims = {
  sub: ID,
  id: ID,
  email: 'ada@example.com',
  name: 'Ada "the first" Lovelace 😀',
  tenant: '0b8f6d4e-0000-4000-8000-000000000002',
  user_type: 'internal',
  session_id: '0b8f6d4e-0000-4000-8000-000000000003',
  login_method: 'google',
  addons: ['backup'],
}

export async function makeVectors(versions: Record<string, string>) {
  const accepted = (claims: Claims = CLAIMS) => ({ body: bodyOf(claims) })
  const base = { now: NOW, secrets: [SECRET] }
  const authjs = { ...base, issuer: 'authjs' as const, name: V5 }
  const token = (salt: string, claims = CLAIMS, secret = SECRET) => encode5({ token: claims, secret, salt })
  const long = { ...CLAIMS, plan: 'p'.repeat(5000) }
  const chunks = (await token(SECURE_V5, long)).match(/.{1,3936}/g) ?? []

  await write('authjs', `encode of @auth/core ${versions['@auth/core']}`, [
    { ...authjs, case: 'whole', header: `${V5}=${await token(V5)}`, outcome: accepted() },
    {
      ...authjs,
      case: 'secure, in chunks',
      name: SECURE_V5,
      header: chunks.map((chunk, index) => `${SECURE_V5}.${index}=${chunk}`).join('; '),
      outcome: accepted(long),
    },
    {
      ...authjs,
      case: 'of the older of two secrets',
      secrets: [SECRET, OLD_SECRET],
      header: `${V5}=${await token(V5, CLAIMS, OLD_SECRET)}`,
      outcome: accepted(),
    },
    {
      ...authjs,
      case: 'of a secret that is no longer there',
      header: `${V5}=${await token(V5, CLAIMS, OLD_SECRET)}`,
      outcome: { refused: 'kid names none of the secrets' },
    },
    {
      ...authjs,
      case: 'made for another cookie',
      header: `${V5}=${await token(SECURE_V5)}`,
      outcome: { refused: 'kid names none of the secrets' },
    },
    {
      ...authjs,
      case: 'expired by its maxAge of 30 days',
      now: NOW + 30 * 24 * 3600 + 15,
      header: `${V5}=${await token(V5)}`,
      outcome: { refused: 'the token is expired' },
    },
    {
      ...authjs,
      case: 'without a session of ours',
      header: `${V5}=${await token(V5, { ...CLAIMS, session_id: undefined })}`,
      outcome: { refused: 'session_id is missing or not what it must be' },
    },
  ])

  const v4 = { ...base, issuer: 'next-auth-v4' as const, name: V4 }
  await write('next-auth-4', `encode of next-auth ${versions['next-auth-4']}`, [
    { ...v4, case: 'whole', header: `${V4}=${await encode4({ token: CLAIMS, secret: SECRET })}`, outcome: accepted() },
    {
      ...v4,
      case: 'of a secret that is no longer there',
      header: `${V4}=${await encode4({ token: CLAIMS, secret: OLD_SECRET })}`,
      outcome: { refused: 'cannot be decrypted' },
    },
  ])

  const forge = (times: Claims) => {
    const plaintext = Buffer.from(JSON.stringify({ ...CLAIMS, ...times }))
    return `${V5}=${compact(seal(deriveKey(SECRET, 'A256CBC-HS512'), 'A256CBC-HS512', plaintext))}`
  }
  const expired = { refused: 'the token is expired' }
  const early = { refused: 'the token is not yet valid' }
  const clock: [string, Claims, Vector['outcome']][] = [
    ['exp one second within the tolerance', { exp: NOW - 14 }, accepted()],
    ['exp half a second within the tolerance', { exp: NOW - 14.5 }, accepted()],
    ['exp at the edge of the tolerance', { exp: NOW - 15 }, expired],
    ['exp half a second past the tolerance', { exp: NOW - 15.5 }, expired],
    ['exp negative', { exp: -NOW }, expired],
    ['exp huge', { exp: 1e300 }, accepted()],
    ['exp a string', { exp: `${NOW + 60}` }, { refused: 'exp is not a number' }],
    ['exp null', { exp: null }, { refused: 'exp is not a number' }],
    ['nbf at the edge of the tolerance', { exp: NOW + 60, nbf: NOW + 15 }, accepted()],
    ['nbf half a second past the tolerance', { exp: NOW + 60, nbf: NOW + 15.5 }, early],
    ['nbf one second past the tolerance', { exp: NOW + 60, nbf: NOW + 16 }, early],
    ['nbf null', { exp: NOW + 60, nbf: null }, { refused: 'nbf is not a number' }],
    ['iat in the future', { exp: NOW + 60, iat: NOW + 999 }, accepted()],
    ['iat a string', { exp: NOW + 60, iat: '1' }, { refused: 'iat is not a number' }],
  ]
  await write(
    'clock',
    'the forge of these tests, with the key of Auth.js',
    clock.map(([name, times, outcome]) => ({ ...authjs, case: name, header: forge(times), outcome })),
  )
}

async function write(topic: string, madeBy: string, vectors: Vector[]) {
  const file = new URL(`${topic}.json`, import.meta.url)
  await writeFile(file, `${JSON.stringify({ madeBy, vectors }, undefined, 2)}\n`)
}
