// Measures the cost of a session check for several implementations. See README.md in this folder.
//
//   npm run bench [-- --short | --network] [--seconds=0.5] [--rounds=5] [--in-flight=1,16,64,256] [--only=a,f,g]

import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startPostgres } from '../__test__/support/postgres.mjs'
import { drawChart } from './chart.mjs'
import { closeContestants, openContestants } from './contestants/index.mjs'
import { assertSameResults } from './equality.mjs'
import { limitTrials } from './limits.mjs'
import { measureCalls, runRounds } from './measure.mjs'
import { distant, runScenario, SLOW } from './network.mjs'
import { readOptions } from './options.mjs'
import { pgbenchVersion } from './pgbench.mjs'
import {
  ALL_COLUMNS,
  describeContestants,
  describeEnvironment,
  NETWORK_COLUMNS,
  printLegend,
  printTables,
} from './report.mjs'
import { FULL, SECRET, SHORT, seed } from './seed.mjs'

const options = readOptions()
const size = options.short ? SHORT : FULL
const rounds = { rounds: options.rounds, warmUp: !options.short, onRound }

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
const server = await startPostgres()
try {
  const requests = await seed(server.url(), size)
  if (options.short || !options.network) await compareChecks(requests)
  if (options.short || options.network) await compareNetworks(requests)
} finally {
  await server.dispose()
}

/** @typedef {import('./seed.mjs').Requests} Requests */

/** @param {Requests} requests */
async function compareChecks(requests) {
  const { cookies } = requests
  const { seconds } = options
  const contestants = openContestants(options.letters, { url: server.url(), secret: SECRET })
  try {
    await assertSameResults(contestants, requests)
    const header = await describe(contestants, cookies)
    const pgbench = await pgbenchVersion()
    if (pgbench) Object.assign(header.versions, { pgbench })
    else console.log('pgbench is not in PATH: skipped')
    const trials = options.inFlight.flatMap((inFlight) =>
      [...contestants].map(([key, { getSession }]) => ({
        key,
        inFlight,
        measure: () => measureCalls(getSession, cookies, { inFlight, seconds }),
      })),
    )
    const limits = limitTrials({ url: server.url(), cookies, seconds, size, pgbench: Boolean(pgbench) })
    const results = await runRounds([...trials, ...limits], rounds)
    const ofContestants = results.slice(0, trials.length)
    const ofLimits = results.slice(trials.length)

    const nameOf = (/** @type {string} */ key) => `(${key}) ${contestants.get(key)?.name}`
    console.log(`\n${formatSetup(header)}`)
    printTables(ofContestants, nameOf, ALL_COLUMNS)
    console.log('\nLimits that no contestant can beat:')
    printTables(ofLimits, (key) => key, ALL_COLUMNS)
    printLegend(contestants)

    await save(options.json, `${JSON.stringify({ ...header, results: ofContestants, limits: ofLimits }, null, 2)}\n`)
    await save(options.chart, drawChart(ofContestants, header))
  } finally {
    await closeContestants(contestants)
  }
}

/** @param {Requests} requests */
async function compareNetworks(requests) {
  const { latencies, slow, inFlight, seconds } = options
  const chosen = [...latencies.map(distant), ...(slow ? [SLOW] : [])]
  const scenarios = chosen.length > 0 ? chosen : [distant(1), distant(5), SLOW]
  const contestants = openContestants(options.networkLetters, { url: server.url(), secret: SECRET })
  const nameOf = (/** @type {string} */ key) => `(${key}) ${contestants.get(key)?.name}`
  const header = await describe(contestants, requests.cookies)
  await closeContestants(contestants)

  const results = []
  for (const scenario of scenarios) {
    console.log(`\nDatabase through a proxy: ${scenario.title}`)
    const letters = options.networkLetters
    const ofScenario = await runScenario(server.url(), scenario, { letters, requests, inFlight, seconds, ...rounds })
    console.log(`\n${formatSetup(header)}`)
    printTables(ofScenario, nameOf, NETWORK_COLUMNS)
    results.push({ scenario, results: ofScenario })
  }
  printLegend(contestants)
  if (options.network) await save(options.json, `${JSON.stringify({ ...header, scenarios: results }, null, 2)}\n`)
}

/** @param {Parameters<typeof describeContestants>[0]} contestants @param {string[]} cookies */
async function describe(contestants, cookies) {
  return {
    ...(await describeEnvironment(server.url(), contestants)),
    data: { ...size, cookieBytes: cookies[0]?.length ?? 0 },
    rounds: options.rounds,
    seconds: options.seconds,
    contestants: describeContestants(contestants),
  }
}

/** @param {Awaited<ReturnType<typeof describe>>} header */
function formatSetup({ versions, machine, data, seconds }) {
  const parts = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  return `${parts.join(', ')}
${machine.cores} x ${machine.cpu}, ${machine.memoryGiB} GiB, ${machine.platform}, database on the same machine
${data.sessions} sessions, ${data.cookies} cookies of about ${data.cookieBytes} bytes
Medians (minimum - maximum) of ${options.rounds} interleaved rounds of ${seconds} s`
}

/** @param {number} round */
function onRound(round) {
  console.log(round === 0 ? 'warm-up' : `round ${round} of ${options.rounds}`)
}

/** @param {string | URL | null} file @param {string} content */
async function save(file, content) {
  if (!file) return
  const path = typeof file === 'string' ? file : fileURLToPath(file)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, content)
  console.log(`\nwrote ${path}`)
}
