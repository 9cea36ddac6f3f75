// What it costs to keep sessions alive: `refreshSession` with nothing due against `getSession`, and with all due against the
// Auth.js handler, whose `jwt` callback slides the row. On Linux only. See README.md in this folder.
//
//   node benchmark/refresh.mjs [--short] [--rounds=20] [--seconds=1]

import { Auth } from '@auth/core'
import pg from 'pg'
import { startPostgres } from '../__test__/support/postgres.mjs'
import { AuthBridge } from '../index.js'
import { sessionOf } from './body.mjs'
import { measureCalls, readRounds, runRounds } from './measure.mjs'
import { isLive, SLIDE_SESSION } from './query.mjs'
import { FULL, SECRET, SHORT, seed } from './seed.mjs'

const IN_FLIGHT = 64
const [READ, NOTHING_DUE, ALL_DUE, AUTH] = ['getSession', 'nothing due', 'all due', 'Auth() handler, pg']

const { short, rounds, seconds } = readRounds()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
const server = await startPostgres()
const pool = new pg.Pool({ connectionString: server.url(), max: 10 })
pool.on('error', () => {})
const common = { secret: SECRET, databaseUrl: server.url(), secureCookie: false, maxAge: 30 * 86_400 }
const bridge = new AuthBridge(common)
const eager = new AuthBridge({ ...common, updateAge: 0 })
try {
  const { cookies } = await seed(server.url(), short ? SHORT : FULL)
  const rolled = await Promise.all(cookies.map(async (cookie) => (await eager.refreshSession(cookie)).cookieHeader))
  await compare(rolled)
} finally {
  await Promise.all([bridge.close(), eager.close(), pool.end()])
  await server.dispose()
}

/** @param {string[]} cookies */
async function compare(cookies) {
  /** @type {Record<string, (cookie: string) => Promise<unknown>>} */
  const calls = {
    [READ]: (cookie) => bridge.getSession(cookie).then((session) => session),
    [NOTHING_DUE]: (cookie) => bridge.refreshSession(cookie).then(({ session }) => session),
    [ALL_DUE]: (cookie) => eager.refreshSession(cookie).then(({ session }) => session),
    [AUTH]: authSession,
  }
  const trials = Object.entries(calls).map(([key, call]) => ({
    key,
    inFlight: IN_FLIGHT,
    measure: () => measureCalls(call, cookies, { inFlight: IN_FLIGHT, seconds }),
  }))
  const results = await runRounds(trials, { rounds, warmUp: !short })
  const issued = eager.stats().rolls.issued
  const kept = bridge.stats().rolls
  if (kept.issued + kept.refused + kept.held > 0) throw new Error('a token was due that should not be')
  for (const { key, metrics } of results) {
    const [perSecond, cpu] = [metrics.callsPerSecond?.median ?? 0, metrics.cpu?.median ?? 0]
    console.log(`${key}: ${Math.round(perSecond)} calls/s, ${cpu.toFixed(1)} µs of CPU a call`)
  }
  const median = (/** @type {string} */ of, /** @type {string} */ metric) =>
    results.find(({ key }) => key === of)?.metrics[metric]?.median ?? Number.NaN
  const ratio = (/** @type {number} */ one, /** @type {number} */ other) => (one / other).toFixed(3)
  console.log(`CPU, nothing due against getSession: ${ratio(median(NOTHING_DUE, 'cpu'), median(READ, 'cpu'))}`)
  console.log(
    `throughput, all due against Auth.js: ${ratio(median(ALL_DUE, 'callsPerSecond'), median(AUTH, 'callsPerSecond'))}`,
  )
  console.log(`${issued} tokens were issued; rows that were held: ${eager.stats().rolls.held}`)
}

/** The session endpoint of Auth.js, which encrypts a new token at each read. @param {string} cookie */
async function authSession(cookie) {
  /** @type {import('./body.mjs').AuthSession | null} */
  let session = null
  const response = await Auth(new Request('http://localhost/auth/session', { headers: { cookie } }), {
    secret: SECRET,
    trustHost: true,
    providers: [],
    logger: { error() {}, warn() {}, debug() {} },
    callbacks: {
      async jwt({ token }) {
        session = await slide(token)
        return session && token
      },
      session: () => /** @type {any} */ (session),
    },
  })
  return response.json()
}

/** @param {import('./body.mjs').Claims} claims */
async function slide(claims) {
  const session = sessionOf(claims)
  if (!session) return null
  const values = [session.user.tenant, session.session_id]
  const { rows } = await pool.query({ name: 'slide-session', text: SLIDE_SESSION, values, rowMode: 'array' })
  return isLive(/** @type {any} */ (rows[0]), session) ? session : null
}
