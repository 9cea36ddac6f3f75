// (e): node:crypto, and one query for the lookups of many calls. The fastest plain JavaScript that we found.
//
// Calls of one turn of the event loop share a query, in which each session occurs once. With hundreds of calls in one turn,
// queries are sent before its end, so that the server works while the next cookies are decrypted.
// Slower or no faster were: one query per turn, fixed sizes from 8 to 64, the end of the tick instead of the turn, two and
// four connections, and judging the session in SQL.

import { sessionOf, UNAUTHENTICATED } from '../body.mjs'
import { cryptoOpener } from '../open-token.mjs'
import { FIND_SESSIONS, isLive } from '../query.mjs'
import { openPipeline } from './pipeline.mjs'

const SMALLEST_EARLY_BATCH = 8
const LARGEST_BATCH = 64

/** @typedef {import('../body.mjs').AuthSession} AuthSession */
/** @typedef {import('../query.mjs').SessionRow} SessionRow */

/** @type {import('./index.mjs').Factory} */
export function batched({ url, secret }) {
  const open = cryptoOpener(secret)
  // Planning the query takes longer than running it, so it is planned once.
  const sql = openPipeline(url, { plan_cache_mode: 'force_generic_plan' })
  let batch = new Batch()
  let waiting = 0

  function send() {
    const { tenants, sessionIds, calls } = batch
    if (calls.length === 0) return
    batch = new Batch()
    const parameters = [`{${tenants}}`, `{${sessionIds}}`]
    sql
      .unsafe(FIND_SESSIONS, parameters, { prepare: true })
      .values()
      .then((rows) => {
        waiting -= calls.length
        /** @type {SessionRow[]} */
        const found = []
        for (const row of /** @type {SessionRow[]} */ (/** @type {unknown} */ (rows))) found[Number(row[4]) - 1] = row
        for (const { index, session, resolve } of calls) {
          resolve(isLive(found[index], session) ? session : UNAUTHENTICATED)
        }
      })
      .catch((error) => {
        waiting -= calls.length
        for (const { reject } of calls) reject(error)
      })
  }

  return {
    name: 'node:crypto, postgres.js, batched',
    packages: ['postgres'],
    pool: 'postgres.js, 1 connection, pipelined',
    differs: 'Lacks what (d) lacks; an error of a query fails all calls of its batch',
    getSession(cookie) {
      const claims = open(cookie)
      const session = claims && sessionOf(claims)
      if (!session) return Promise.resolve(UNAUTHENTICATED)
      return new Promise((resolve, reject) => {
        if (batch.calls.length === 0) setImmediate(send)
        batch.add(session, resolve, reject)
        waiting += 1
        const enough = Math.min(Math.max(waiting / 2, SMALLEST_EARLY_BATCH), LARGEST_BATCH)
        if (batch.tenants.length >= enough) send()
      })
    },
    close: () => sql.end(),
  }
}

/**
 * `index` is the place of its session in the query.
 *
 * @typedef {{ index: number, session: AuthSession, resolve: (body: object) => void, reject: (error: unknown) => void }} Call
 */

class Batch {
  /** @type {string[]} */
  tenants = []
  /** @type {string[]} */
  sessionIds = []
  /** @type {Call[]} */
  calls = []
  /** Place in the query by tenant and session. @type {Map<string, number>} */
  #places = new Map()

  /** @param {AuthSession} session @param {Call['resolve']} resolve @param {Call['reject']} reject */
  add(session, resolve, reject) {
    const { session_id, user } = session
    const key = user.tenant + session_id
    let index = this.#places.get(key)
    if (index === undefined) {
      index = this.tenants.push(user.tenant) - 1
      this.sessionIds.push(session_id)
      this.#places.set(key, index)
    }
    this.calls.push({ index, session, resolve, reject })
  }
}
