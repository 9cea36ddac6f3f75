// What an attacker without a key can make a server do: damaged cookies, the worst header that a search finds, and floods of
// sessions that don't live. See README.md beside this file.
//
//   node benchmark/attack.mjs [--short] [--only=damaged,search,floods] [--rounds=5] [--calls=10000] [--seconds=1] [--json=file]

import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { mintCookie } from '../__test__/support/cookies.mjs'
import { startPostgres } from '../__test__/support/postgres.mjs'
import { AuthBridge } from '../index.js'
import { floodTrials } from './floods.mjs'
import { damagedHeaders } from './headers.mjs'
import { measureLoop, runRounds } from './measure.mjs'
import { joseOpener } from './open-token.mjs'
import { describeMachine, printTables } from './report.mjs'
import { SECRET, seed } from './seed.mjs'
import { searchWorst } from './worst-header.mjs'

const PARTS = ['damaged', 'search', 'floods']
const SIZE = { sessions: 20_000, users: 2_000, tenants: 20, cookies: 1_000 }
const OLDER_SECRETS = ['an older secret of the benchmark, so long', 'the oldest secret of the benchmark, so long']
const IN_FLIGHT = 64
const GOOD = 'good'
/** More claims would make a token of more than 32 KiB. */
const LARGE_CLAIM_BYTES = 23_300

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: PARTS.join() },
    short: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    calls: { type: 'string' },
    seconds: { type: 'string' },
    json: { type: 'string' },
  },
})
const parts = options.only.split(',')
const { short } = options
const rounds = Number(options.rounds ?? (short ? 1 : 5))
const calls = Number(options.calls ?? (short ? 100 : 10_000))
const seconds = Number(options.seconds ?? (short ? 0.05 : 1))
const inRounds = {
  rounds,
  warmUp: !short,
  onRound: (/** @type {number} */ round) => console.log(`round ${round}`),
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
const server = await startPostgres()
const database = { databaseUrl: server.url(), secureCookie: false }
const bridge = new AuthBridge({ ...database, secret: SECRET })
const rotating = new AuthBridge({ ...database, secret: [SECRET, ...OLDER_SECRETS] })
try {
  const { cookies, others } = await seed(server.url(), SIZE)
  const results = {
    ...(parts.includes('damaged') && { damaged: await compareDamaged(cookies) }),
    ...(parts.includes('search') && { search: search() }),
    ...(parts.includes('floods') && { floods: await compareFloods(cookies, others['revoked session'] ?? '') }),
  }
  const whole = parts.length === PARTS.length && !short ? new URL('results/attack.json', import.meta.url) : undefined
  const file = options.json ?? whole
  const header = { node: process.versions.node, machine: describeMachine(), rounds, calls, seconds }
  if (file) await writeFile(file, `${JSON.stringify({ ...header, ...results }, null, 2)}\n`)
} finally {
  await Promise.all([bridge.close(), rotating.close()])
  await server.dispose()
}

/** @param {string[]} cookies */
async function compareDamaged(cookies) {
  const deep = Array.from({ length: 22 }, () => JSON.parse('['.repeat(500) + ']'.repeat(500)))
  /** @type {[string, AuthBridge, string[]][]} */
  const inputs = [
    [`${GOOD}, 1.4 kB`, bridge, cookies],
    [`${GOOD}, 32 KiB`, bridge, await withClaim(cookies, 'x'.repeat(LARGE_CLAIM_BYTES))],
    [`${GOOD}, 32 KiB of deep claims`, bridge, await withClaim(cookies, deep)],
  ]
  for (const [name, header] of Object.entries(damagedHeaders(SECRET))) {
    inputs.push([name, bridge, [header]])
    if (name.includes('no kid')) inputs.push([`${name}, three secrets`, rotating, [header]])
  }
  await assertAnswers(inputs)
  const trials = inputs.map(([key, bridge, headers]) => ({
    key,
    inFlight: IN_FLIGHT,
    measure: () => measureLoop((header) => bridge.getSession(header), headers, { inFlight: IN_FLIGHT, calls }),
  }))
  const results = await runRounds(trials, inRounds)
  printTables(results, (key) => key, ['eventLoop'])
  return results
}

/** @param {[string, AuthBridge, string[]][]} inputs */
async function assertAnswers(inputs) {
  for (const [key, bridge, [header]] of inputs) {
    const isSession = 'session_id' in (await bridge.getSession(header))
    if (isSession !== key.startsWith(GOOD)) throw new Error(`${key}: answered otherwise`)
  }
}

/** Cookies of some of the sessions, with one claim more that nobody reads. @param {string[]} cookies @param {unknown} claim */
function withClaim(cookies, claim) {
  const open = joseOpener(SECRET)
  const mint = async (/** @type {string} */ cookie) =>
    mintCookie({ ...(await open(cookie)), claim }, { secret: SECRET })
  return Promise.all(cookies.slice(0, 50).map(mint))
}

function search() {
  const worst = searchWorst((header) => void bridge.getSession(header), { seconds: 60 * seconds })
  console.log(
    `\nThe worst header of ${worst.tried} tried: ${worst.us.toFixed(0)} µs, ${worst.times.toFixed(2)} times as long as the worst of those above`,
  )
  return worst
}

/** In more rounds, since the database and its noise are in it. @param {string[]} cookies @param {string} revoked */
async function compareFloods(cookies, revoked) {
  const trials = await floodTrials(bridge, { cookies, revoked, seconds: seconds / 2 })
  const results = await runRounds(trials, { ...inRounds, rounds: 3 * rounds })
  printTables(results, (key) => key, ['callsPerSecond', 'p50', 'p99'])
  return results
}
