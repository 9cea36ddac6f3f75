// Limits that no contestant can beat: the query by pgbench, and the decryption alone.

import { measureCalls } from './measure.mjs'
import { cryptoOpener, joseOpener } from './open-token.mjs'
import { runPgbench } from './pgbench.mjs'
import { SECRET } from './seed.mjs'

const PGBENCH_CLIENTS = [1, 8]
// jose decrypts in the thread pool, so that concurrent calls gain; the calls of node:crypto are synchronous.
const DECRYPTIONS = [
  { key: 'jose, decryption alone', open: joseOpener(SECRET), inFlights: [1, 64] },
  { key: 'node:crypto, decryption alone', open: cryptoOpener(SECRET), inFlights: [1] },
]

/**
 * @param {{ url: string, cookies: string[], seconds: number, size: import('./seed.mjs').Size,
 *   pgbench: boolean }} options
 * @returns {import('./measure.mjs').Trial[]}
 */
export function limitTrials({ url, cookies, seconds, size, pgbench }) {
  const lookups = PGBENCH_CLIENTS.map((clients) => ({
    key: 'pgbench, prepared lookup',
    inFlight: clients,
    // pgbench takes whole seconds only, and connects during the first.
    measure: () => runPgbench(url, { clients, seconds: Math.max(2, seconds), size }),
  }))
  const decryptions = DECRYPTIONS.flatMap(({ key, open, inFlights }) =>
    inFlights.map((inFlight) => ({
      key,
      inFlight,
      measure: () => measureCalls(open, cookies, { inFlight, seconds }),
    })),
  )
  return [...(pgbench ? lookups : []), ...decryptions]
}
