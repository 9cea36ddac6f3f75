// (a) and (b): Auth.js, and node-postgres for the lookup.

import { Auth } from '@auth/core'
import { getToken } from '@auth/core/jwt'
import pg from 'pg'
import { COOKIE_NAME } from '../../__test__/support/cookies.mjs'
import { sessionOf, UNAUTHENTICATED } from '../body.mjs'
import { FIND_SESSION, isLive } from '../query.mjs'

const POOL_SIZE = 10
const BOTH =
  'As (f): chunks, several secrets. Leaves out: one spelling of base64url, an exp, time limits, a retry on a dead connection'

/** @type {import('./index.mjs').Factory} */
export function authHandler({ url, secret }) {
  const { ask, close } = lookup(url)
  return {
    name: 'Auth() handler, pg',
    packages: ['@auth/core', 'pg'],
    pool: `pg.Pool, ${POOL_SIZE} connections`,
    differs: `More: encrypts the token anew at each read, to prolong it; makes a whole response. ${BOTH}`,
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
            session = await ask(token)
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
  const { ask, close } = lookup(url)
  return {
    name: 'getToken(), pg',
    packages: ['@auth/core', 'pg'],
    pool: `pg.Pool, ${POOL_SIZE} connections`,
    differs: BOTH,
    async getSession(cookie) {
      const claims = await getToken({ req: { headers: { cookie } }, secret, cookieName: COOKIE_NAME })
      return (claims && (await ask(claims))) ?? UNAUTHENTICATED
    },
    close,
  }
}

/** @param {string} url */
function lookup(url) {
  const pool = new pg.Pool({ connectionString: url, max: POOL_SIZE })
  // Its `end` does not wait until the server has let go: that one's farewell may still come.
  pool.on('error', () => {})
  return {
    /** @param {import('../body.mjs').Claims} claims */
    async ask(claims) {
      const session = sessionOf(claims)
      if (!session) return null
      const values = [session.user.tenant, session.session_id]
      const { rows } = await pool.query({ name: 'find-session', text: FIND_SESSION, values, rowMode: 'array' })
      return isLive(/** @type {any} */ (rows[0]), session) ? session : null
    },
    close: () => pool.end(),
  }
}
