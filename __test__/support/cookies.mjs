// Makes cookies with the real Auth.js.

import { Auth, skipCSRFCheck } from '@auth/core'
import { encode } from '@auth/core/jwt'
import credentials from '@auth/core/providers/credentials'

export const COOKIE_NAME = 'authjs.session-token'
export const SECURE_COOKIE_NAME = '__Secure-authjs.session-token'

/**
 * Returns a `Cookie` header with a token that `@auth/core` encrypts.
 *
 * @param {Record<string, unknown>} claims
 * @param {{ secret: string, name?: string, maxAge?: number }} options `maxAge` in seconds from now
 */
export async function mintCookie(claims, { secret, name = COOKIE_NAME, maxAge }) {
  return `${name}=${await encode({ token: claims, secret, salt: name, maxAge })}`
}

/**
 * Returns a `Cookie` header with all cookies that the real Auth.js handler sets at a sign-in. A long token comes in chunks.
 *
 * @param {Record<string, unknown>} claims
 * @param {{ secret: string, origin?: string }} options
 */
export async function signIn(claims, { secret, origin = 'http://localhost:3000' }) {
  const request = new Request(`${origin}/auth/callback/credentials`, { method: 'POST', body: new URLSearchParams() })
  const response = await Auth(request, {
    secret,
    trustHost: true,
    skipCSRFCheck,
    session: { strategy: 'jwt' },
    providers: [credentials({ authorize: () => ({ id: String(claims.id) }) })],
    callbacks: { jwt: ({ token }) => ({ ...token, ...claims }) },
    logger: { debug() {}, warn() {}, error: (error) => console.error(error) },
  })
  const cookies = response.headers.getSetCookie().map((cookie) => cookie.slice(0, cookie.indexOf(';')))
  return cookies.join('; ')
}
