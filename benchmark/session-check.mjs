// What a session check costs: the Auth.js handler and Auth.js's `getToken`, each asking PostgreSQL through `pg`,
// against this package. All run interleaved on one machine, with PostgreSQL on it.
//
//   npm run bench [-- --seconds=0.5 --rounds=5]

import { deepStrictEqual } from 'node:assert'
import { randomUUID } from 'node:crypto'
import { cpus } from 'node:os'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { Auth } from '@auth/core'
import { getToken } from '@auth/core/jwt'
import pg from 'pg'
import { COOKIE_NAME, mintCookie } from '../__test__/support/cookies.mjs'
import { startPostgres } from '../__test__/support/postgres.mjs'
import { claimsOf, createSession, createTables, createUser } from '../__test__/support/tenants.mjs'
import { AuthBridge } from '../index.js'

const { values: options } = parseArgs({
  options: { seconds: { type: 'string', default: '0.5' }, rounds: { type: 'string', default: '5' } },
})
const SECRET = 'the secret of the benchmark, so so long'
const SESSIONS = 200
const IN_FLIGHT = [1, 64]
const POOL_SIZE = 10

const LIVE = {
  name: 'live-session',
  text: `SELECT 1 FROM sessions s JOIN users u ON u.tenant = s.tenant AND u.user_id = s.user_id
         WHERE s.tenant = $1 AND s.session_id = $2 AND s.user_id = $3 AND u.user_type = $4
           AND s.revoked_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now())`,
}

const server = await startPostgres()
const pool = new pg.Pool({ connectionString: server.url(), max: POOL_SIZE })
// Its `end` does not wait until the server has let go: that one's farewell may still come.
pool.on('error', () => {})
const bridge = new AuthBridge({ secret: SECRET, databaseUrl: server.url(), secureCookie: false })
try {
  const { cookies, revoked } = await seed()
  const contestants = {
    'Auth() handler and pg': withAuthHandler,
    'getToken() and pg': withGetToken,
    'authjs-bridge': (/** @type {string} */ cookie) => bridge.getSession(cookie),
  }
  await sameAnswers(Object.values(contestants), [cookies[0], revoked, `${cookies[0]}x`, 'theme=dark'])
  await compare(contestants, cookies)
} finally {
  await bridge.close()
  await pool.end()
  await server.dispose()
}

/** @param {string} cookie */
async function withAuthHandler(cookie) {
  /** @type {Record<string, any> | null} */
  let claims = null
  const response = await Auth(new Request('http://localhost/auth/session', { headers: { cookie } }), {
    secret: SECRET,
    trustHost: true,
    providers: [],
    logger: { error() {}, warn() {}, debug() {} },
    callbacks: {
      async jwt({ token }) {
        claims = await live(token)
        return claims ? token : null
      },
      session: () => /** @type {any} */ (claims && bodyOf(claims)),
    },
  })
  return (await response.json()) ?? {}
}

/** @param {string} cookie */
async function withGetToken(cookie) {
  const token = await getToken({ req: { headers: { cookie } }, secret: SECRET, cookieName: COOKIE_NAME })
  const claims = token && (await live(token))
  return claims ? bodyOf(claims) : {}
}

/** @param {Record<string, any>} claims */
async function live(claims) {
  const values = [claims.tenant, claims.session_id, claims.id, claims.user_type]
  return (await pool.query({ ...LIVE, values })).rowCount === 1 ? claims : null
}

/** The documented body of the claims that `seed` makes. @param {Record<string, any>} claims */
function bodyOf(claims) {
  const { session_id, login_method, id, email, name, proToken, tenantSlug, plan, tenant, user_type, addons } = claims
  const trial = { trial_end: null, solo_pro_trial_end: null, premium_trial_end: null }
  const premium = { premium_trial_effective_date: null, premium_trial_confirmed: false }
  const profile = { id, email, name, username: '', proToken, tenantSlug, plan, tenant, user_type, addons }
  return { session_id, login_method, user: { ...profile, ...trial, ...premium } }
}

/** Sessions of one tenant, with cookies of about 1.4 kB, and one that is revoked. */
async function seed() {
  const database = new pg.Client(server.url())
  await database.connect()
  await createTables(database)
  const user = await createUser(database)
  const profile = { name: 'Ada', tenantSlug: 'acme', plan: 'enterprise', addons: ['backup'], proToken: 'p'.repeat(400) }
  const cookies = []
  for (let index = 0; index < SESSIONS; index++) {
    const session = await createSession(database, user)
    cookies.push(await mintCookie(claimsOf(user, session, profile), { secret: SECRET }))
  }
  const session = await createSession(database, user, { revoked_at: new Date() })
  const revoked = await mintCookie(claimsOf(user, session, { ...profile, jti: randomUUID() }), { secret: SECRET })
  await database.query('ANALYZE')
  await database.end()
  return { cookies, revoked }
}

/** @param {((cookie: string) => Promise<object>)[]} contestants @param {string[]} requests */
async function sameAnswers([first, ...others], requests) {
  for (const cookie of requests) {
    const answer = await first(cookie)
    for (const contestant of others) deepStrictEqual(await contestant(cookie), answer)
  }
  deepStrictEqual(Object.keys(await first(requests[0])), ['session_id', 'login_method', 'user'])
}

/** @param {Record<string, (cookie: string) => Promise<object>>} contestants @param {string[]} cookies */
async function compare(contestants, cookies) {
  const rounds = Number(options.rounds)
  const [cpu] = cpus()
  console.log(`Node ${process.version}, ${cpus().length} x ${cpu?.model}, cookies of ${cookies[0].length} bytes`)
  for (const inFlight of IN_FLIGHT) {
    /** @type {Record<string, Awaited<ReturnType<typeof measure>>[]>} */
    const results = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]))
    for (let round = -1; round < rounds; round++) {
      for (const [name, check] of Object.entries(contestants)) {
        const result = await measure(check, cookies, inFlight)
        if (round >= 0) results[name]?.push(result)
      }
    }
    console.log(`\n${inFlight} in flight: medians (minimum - maximum) of ${rounds} rounds`)
    console.table(Object.fromEntries(Object.entries(results).map(([name, list]) => [name, summary(list)])))
  }
}

/** @param {(cookie: string) => Promise<object>} check @param {string[]} cookies @param {number} inFlight */
async function measure(check, cookies, inFlight) {
  let calls = 0
  const start = performance.now()
  const end = start + Number(options.seconds) * 1000
  const loop = performance.eventLoopUtilization()
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (performance.now() < end) await check(cookies[calls++ % cookies.length])
    }),
  )
  const seconds = (performance.now() - start) / 1000
  const { active } = performance.eventLoopUtilization(loop)
  return { perSecond: calls / seconds, latency: (seconds * 1e6 * inFlight) / calls, eventLoop: (active * 1e3) / calls }
}

/** @param {Awaited<ReturnType<typeof measure>>[]} list */
function summary(list) {
  const show = (/** @type {number[]} */ values) => {
    const [minimum, median, maximum] = [0, 0.5, 1].map((part) => {
      return Math.round(values.sort((a, b) => a - b)[Math.round(part * (values.length - 1))] ?? 0)
    })
    return `${median} (${minimum} - ${maximum})`
  }
  return {
    'calls per second': show(list.map(({ perSecond }) => perSecond)),
    'µs per call': show(list.map(({ latency }) => latency)),
    'µs of the event loop per call': show(list.map(({ eventLoop }) => eventLoop)),
  }
}
