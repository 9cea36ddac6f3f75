// What a call costs that is answered without a query (`maxStaleness`), against one that asks, plain JavaScript with a map in front, and
// better-auth with its cookie cache. One call at a time and with many in flight. See README.md in this folder.
//
//   node benchmark/cache.mjs [--short] [--rounds=20] [--seconds=1]

import { startPostgres } from '../__test__/support/postgres.mjs'
import { AuthBridge } from '../index.js'
import { sessionOf, UNAUTHENTICATED } from './body.mjs'
import { batched } from './contestants/batched.mjs'
import { openBetterAuth } from './contestants/better-auth.mjs'
import { measureCalls, readRounds, runRounds } from './measure.mjs'
import { cryptoOpener } from './open-token.mjs'
import { ALL_COLUMNS, printTables } from './report.mjs'
import { FULL, SECRET, SHORT, seed } from './seed.mjs'

/** As many as a process sees all day. */
const SESSIONS = 1000
const MAX_STALENESS = 3_600_000
const [ASKED, OBJECT, TEXT, REFRESHED, MAP] = [
  'getSession, asks',
  'getSession, kept',
  'getSessionJson, kept',
  'refreshSession with nothing due, kept',
  'node:crypto and a map',
]
const [BETTER_CACHED, BETTER_ASKED] = ['better-auth, cookie cache', 'better-auth, asks']

const { short, rounds, seconds } = readRounds()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
const server = await startPostgres()
const common = { secret: SECRET, databaseUrl: server.url(), secureCookie: false, maxAge: 30 * 86_400 }
const asking = new AuthBridge(common)
const keeping = new AuthBridge({ ...common, maxStaleness: MAX_STALENESS })
const eager = new AuthBridge({ ...common, updateAge: 0 })
const plain = withMap({ url: server.url(), secret: SECRET })
const better = await openBetterAuth({ url: server.url(), secret: SECRET })
try {
  const { cookies } = await seed(server.url(), short ? SHORT : FULL)
  const hot = cookies.slice(0, SESSIONS)
  await compare(await Promise.all(hot.map(async (cookie) => (await eager.refreshSession(cookie)).cookieHeader)))
} finally {
  await Promise.all([asking, keeping, eager, plain, better].map((each) => each.close()))
  await server.dispose()
}

/** @param {string[]} cookies */
async function compare(cookies) {
  /** @type {Record<string, (cookie: string) => Promise<unknown>>} */
  const calls = {
    [ASKED]: (cookie) => asking.getSession(cookie),
    [OBJECT]: (cookie) => keeping.getSession(cookie),
    [TEXT]: (cookie) => keeping.getSessionJson(cookie),
    [REFRESHED]: (cookie) => keeping.refreshSession(cookie).then(({ session }) => session),
    [MAP]: plain.getSession,
  }
  const bodies = await Promise.all(
    Object.values(calls).map(async (call) => JSON.stringify(await call(cookies[0] ?? ''))),
  )
  const text = (/** @type {string} */ body) => (body.startsWith('"') ? JSON.parse(body) : body)
  if (new Set(bodies.map(text)).size > 1) throw new Error('not all return the same')
  /** @type {[string, (cookie: string) => Promise<unknown>, string[]][]} */
  const contestants = [
    [BETTER_CACHED, better.cached, better.cookies],
    [BETTER_ASKED, better.asking, better.cookies],
  ]
  for (const [key, call] of Object.entries(calls)) contestants.push([key, call, cookies])
  const trials = [1, 64].flatMap((inFlight) =>
    contestants.map(([key, call, inputs]) => ({
      key,
      inFlight,
      measure: () => measureCalls(call, inputs, { inFlight, seconds }),
    })),
  )
  const results = await runRounds(trials, { rounds, warmUp: true })
  const { misses } = keeping.stats().cache
  if (misses > 2 * cookies.length) throw new Error(`${misses} calls asked though an answer was kept`)
  printTables(results, (key) => key, ALL_COLUMNS)
}

/** The fastest plain JavaScript that asks, with a map of the sessions that it found live. @type {import('./contestants/index.mjs').Factory} */
function withMap(app) {
  const contestant = batched(app)
  const open = cryptoOpener(app.secret)
  /** @type {Map<string, number>} until when, by session */
  const live = new Map()
  return {
    ...contestant,
    async getSession(cookie) {
      const claims = open(cookie)
      const session = claims && sessionOf(claims)
      if (!session) return UNAUTHENTICATED
      const key = `${session.user.tenant}/${session.session_id}/${session.user.id}`
      if ((live.get(key) ?? 0) > Date.now()) return session
      const found = await contestant.getSession(cookie)
      if (found !== UNAUTHENTICATED) live.set(key, Date.now() + MAX_STALENESS)
      return found
    },
  }
}
