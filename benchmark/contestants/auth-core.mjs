// (a) and (b): Auth.js, with node-postgres for the lookup.

import { Auth } from '@auth/core'
import { getToken } from '@auth/core/jwt'
import pg from 'pg'
import { COOKIE_NAME } from '../../__test__/support/cookies.mjs'
import { sessionOf, UNAUTHENTICATED } from '../body.mjs'
import { FIND_SESSION, isLive } from '../query.mjs'

const POOL_SIZE = 10
const BOTH =
  'Like (f): chunks, several secrets. Lacks: refusing other spellings of base64url and tokens without exp, timeouts, a retry on a dead connection'

/**
 * @param {{ url: string, secret: string }} target
 * @param {string} [statement] finds the session, or slides it too
 * @returns {import('./index.mjs').Contestant}
 */
export function authHandler({ url, secret }, statement) {
  const { findSession, close } = lookup(url, statement)
  return {
    name: 'Auth() handler, pg',
    packages: ['@auth/core', 'pg'],
    pool: `pg.Pool, ${POOL_SIZE} connections`,
    differs: `Also encrypts a new token at each read, to extend the session, and makes a whole response. ${BOTH}`,
    async getSession(cookie) {
      /** @type {import('../body.mjs').AuthSession | null} */
      let session = null
      const response = await Auth(new Request('http://localhost/auth/session', { headers: { cookie } }), {
        secret,
        trustHost: true,
        providers: [],
        logger: { error() {}, warn() {}, debug() {} },
        callbacks: {
          async jwt({ token }) {
            session = await findSession(token)
            return session && token
          },
          session: () => /** @type {any} */ (session),
        },
      })
      return (await response.json()) ?? UNAUTHENTICATED
    },
    close,
  }
}

/** @type {import('./index.mjs').Factory} */
export function authToken({ url, secret }) {
  const { findSession, close } = lookup(url)
  return {
    name: 'getToken(), pg',
    packages: ['@auth/core', 'pg'],
    pool: `pg.Pool, ${POOL_SIZE} connections`,
    differs: BOTH,
    async getSession(cookie) {
      const claims = await getToken({ req: { headers: { cookie } }, secret, cookieName: COOKIE_NAME })
      return (claims && (await findSession(claims))) ?? UNAUTHENTICATED
    },
    close,
  }
}

/** @param {string} url @param {string} [statement] */
function lookup(url, statement = FIND_SESSION) {
  const pool = new pg.Pool({ connectionString: url, max: POOL_SIZE })
  // `end` doesn't wait until the server has closed the connections, so the error of a closing one may still come.
  pool.on('error', () => {})
  return {
    /** @param {import('../body.mjs').Claims} claims */
    async findSession(claims) {
      const session = sessionOf(claims)
      if (!session) return null
      const values = [session.user.tenant, session.session_id]
      const { rows } = await pool.query({ name: 'find-session', text: statement, values, rowMode: 'array' })
      return isLive(/** @type {any} */ (rows[0]), session) ? session : null
    },
    close: () => pool.end(),
  }
}
