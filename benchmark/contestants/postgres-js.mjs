// (c) and (d): jose or node:crypto with a key that is derived once, and postgres.js, which pipelines, for the lookup.

import { sessionOf, UNAUTHENTICATED } from '../body.mjs'
import { cryptoOpener, joseOpener } from '../open-token.mjs'
import { FIND_SESSION, isLive } from '../query.mjs'
import { openPipeline } from './pipeline.mjs'

const POOL = 'postgres.js, 1 connection, pipelined'
const LACKS =
  'Lacks: chunks, percent-encoding, several secrets and cookie names, size limits, refusing other spellings of base64url, timeouts, a retry on a dead connection'

/** @type {import('./index.mjs').Factory} */
export function jose({ url, secret }) {
  const open = joseOpener(secret)
  const { findSession, close } = lookup(url)
  return {
    name: 'jose, postgres.js',
    packages: ['jose', 'postgres'],
    pool: POOL,
    differs: LACKS,
    getSession: async (cookie) => findSession(await open(cookie)),
    close,
  }
}

/** @type {import('./index.mjs').Factory} */
export function nodeCrypto({ url, secret }) {
  const open = cryptoOpener(secret)
  const { findSession, close } = lookup(url)
  return {
    name: 'node:crypto, postgres.js',
    packages: ['postgres'],
    pool: POOL,
    differs: `${LACKS}, nbf, any protected header but the one that Auth.js writes`,
    getSession: async (cookie) => findSession(open(cookie)),
    close,
  }
}

/** @param {string} url */
function lookup(url) {
  const sql = openPipeline(url)
  return {
    /** @param {import('../body.mjs').Claims | null} claims */
    async findSession(claims) {
      const session = claims && sessionOf(claims)
      if (!session) return UNAUTHENTICATED
      const parameters = [session.user.tenant, session.session_id]
      const [row] = await sql.unsafe(FIND_SESSION, parameters, { prepare: true }).values()
      return isLive(/** @type {any} */ (row), session) ? session : UNAUTHENTICATED
    },
    close: () => sql.end(),
  }
}
