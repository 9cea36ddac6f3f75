// What it costs to keep sessions alive: `refreshSession` with nothing due against `getSession`, and with all due against the
// Auth.js handler, whose `jwt` callback slides the row. On Linux only. See README.md in this folder.
//
//   node benchmark/refresh.mjs [--short] [--rounds=20] [--seconds=1]

import { startPostgres } from '../__test__/support/postgres.mjs'
import { AuthBridge } from '../index.js'
import { authHandler } from './contestants/auth-core.mjs'
import { measureCalls, readRounds, runRounds } from './measure.mjs'
import { SLIDE_SESSION } from './query.mjs'
import { FULL, SECRET, SHORT, seed } from './seed.mjs'

const IN_FLIGHT = 64
const [READ, NOTHING_DUE, ALL_DUE, AUTH] = ['getSession', 'nothing due', 'all due', 'Auth() handler, pg']

const { short, rounds, seconds } = readRounds()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
const server = await startPostgres()
const auth = authHandler({ url: server.url(), secret: SECRET }, SLIDE_SESSION)
const common = { secret: SECRET, databaseUrl: server.url(), secureCookie: false, maxAge: 30 * 86_400 }
const bridge = new AuthBridge(common)
const eager = new AuthBridge({ ...common, updateAge: 0 })
try {
  const { cookies } = await seed(server.url(), short ? SHORT : FULL)
  const rolled = await Promise.all(cookies.map(async (cookie) => (await eager.refreshSession(cookie)).cookieHeader))
  await compare(rolled)
} finally {
  await Promise.all([bridge.close(), eager.close(), auth.close()])
  await server.dispose()
}

/** @param {string[]} cookies */
async function compare(cookies) {
  /** @type {Record<string, (cookie: string) => Promise<unknown>>} */
  const calls = {
    [READ]: (cookie) => bridge.getSession(cookie).then((session) => session),
    [NOTHING_DUE]: (cookie) => bridge.refreshSession(cookie).then(({ session }) => session),
    [ALL_DUE]: (cookie) => eager.refreshSession(cookie).then(({ session }) => session),
    [AUTH]: auth.getSession,
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
