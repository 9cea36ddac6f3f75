// Measures how much event loop time an attacker without a key can use up with damaged cookies. See README.md in this folder.
//
//   node benchmark/attack.mjs [--short] [--rounds=5] [--calls=10000] [--json=file]

import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { mintCookie } from '../__test__/support/cookies.mjs'
import { startPostgres } from '../__test__/support/postgres.mjs'
import { AuthBridge } from '../index.js'
import { damagedHeaders } from './headers.mjs'
import { measureLoop, runRounds } from './measure.mjs'
import { joseOpener } from './open-token.mjs'
import { describeMachine, printTables } from './report.mjs'
import { SECRET, seed } from './seed.mjs'

const SIZE = { sessions: 20_000, users: 2_000, tenants: 20, cookies: 1_000 }
const OLDER_SECRETS = ['an older secret of the benchmark, so long', 'the oldest secret of the benchmark, so long']
const IN_FLIGHT = 64
/** Prefix of the titles of inputs that have a session. */
const GOOD = 'good'
/** The largest claim that keeps the token below 32 KiB. */
const LARGE_CLAIM_BYTES = 23_300

const { values: options } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    calls: { type: 'string' },
    json: { type: 'string' },
  },
})
const { short } = options
const rounds = Number(options.rounds ?? (short ? 1 : 5))
const calls = Number(options.calls ?? (short ? 100 : 10_000))
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
const server = await startPostgres()
const database = { databaseUrl: server.url(), secureCookie: false }
const bridge = new AuthBridge({ ...database, secret: SECRET })
const rotating = new AuthBridge({ ...database, secret: [SECRET, ...OLDER_SECRETS] })
try {
  const { cookies } = await seed(server.url(), SIZE)
  const damaged = await compareDamaged(cookies)
  const header = { node: process.versions.node, machine: describeMachine(), rounds, calls }
  if (options.json) await writeFile(options.json, `${JSON.stringify({ ...header, damaged }, null, 2)}\n`)
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
  await assertResults(inputs)
  const trials = inputs.map(([key, bridge, headers]) => ({
    key,
    inFlight: IN_FLIGHT,
    measure: () => measureLoop((header) => bridge.getSession(header), headers, { inFlight: IN_FLIGHT, calls }),
  }))
  const onRound = (/** @type {number} */ round) => console.log(`round ${round}`)
  const results = await runRounds(trials, { rounds, warmUp: !short, onRound })
  printTables(results, (key) => key, ['eventLoop'])
  return results
}

/** @param {[string, AuthBridge, string[]][]} inputs */
async function assertResults(inputs) {
  for (const [key, bridge, [header]] of inputs) {
    const isSession = 'session_id' in (await bridge.getSession(header))
    if (isSession !== key.startsWith(GOOD)) throw new Error(`${key}: ${isSession ? 'a' : 'no'} session`)
  }
}

/** The cookies of 50 sessions with an extra, unused claim. @param {string[]} cookies @param {unknown} claim */
function withClaim(cookies, claim) {
  const open = joseOpener(SECRET)
  const mint = async (/** @type {string} */ cookie) =>
    mintCookie({ ...(await open(cookie)), claim }, { secret: SECRET })
  return Promise.all(cookies.slice(0, 50).map(mint))
}
