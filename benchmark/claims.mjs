// Compares the CPU time of a call, of addon and server together: with fresh claims, and with texts as ids. On Linux only. See
// README.md in this folder.
//
//   node benchmark/claims.mjs [--short] [--rounds=20] [--seconds=1]

import { readFileSync } from 'node:fs'
import pg from 'pg'
import { startPostgres } from '../__test__/support/postgres.mjs'
import { AuthBridge } from '../index.js'
import { measureCalls, readRounds, runRounds } from './measure.mjs'
import { FULL, SECRET, SHORT, seed } from './seed.mjs'

const IN_FLIGHT = 64
const PLAIN = 'plain'
const FRESH = ['plan', 'addons', 'subscription_status', 'trial_end', 'solo_pro_trial_end', 'product_code']

const { short, rounds, seconds } = readRounds()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
const server = await startPostgres()
try {
  const { cookies } = await seed(server.url(), short ? SHORT : FULL)
  await prepare()
  await compare(cookies)
} finally {
  await server.dispose()
}

/** Gives the users what the fresh claims show, and copies the tables with texts as ids. */
async function prepare() {
  const database = new pg.Client(server.url())
  await database.connect()
  try {
    await database.query(`
      ALTER TABLE users ADD plan text DEFAULT 'enterprise', ADD addons text[] DEFAULT '{backup,reports}',
        ADD subscription_status text DEFAULT 'active', ADD trial_end timestamptz DEFAULT '2027-01-01Z',
        ADD solo_pro_trial_end timestamptz, ADD product_code text DEFAULT 'full';
      CREATE SCHEMA texts;
      CREATE TABLE texts.users AS SELECT tenant::text, user_id::text, user_type FROM users;
      CREATE TABLE texts.sessions AS
        SELECT tenant::text, session_id::text, user_id::text, login_method, expires_at, revoked_at, revoked_reason,
          ip_address, user_agent, device_type FROM sessions;
      ALTER TABLE texts.users ADD PRIMARY KEY (tenant, user_id);
      ALTER TABLE texts.sessions ADD PRIMARY KEY (tenant, session_id);`)
    await database.query('VACUUM ANALYZE')
  } finally {
    await database.end()
  }
}

/** @param {string[]} cookies */
async function compare(cookies) {
  const common = { secret: SECRET, databaseUrl: server.url(), secureCookie: false }
  /** @type {[string, AuthBridge][]} */
  const bridges = [
    [PLAIN, new AuthBridge(common)],
    ['six fresh claims', new AuthBridge({ ...common, extraClaims: ['product_code'], freshClaims: FRESH })],
    ['texts as ids', new AuthBridge({ ...common, tables: { sessions: 'texts.sessions', users: 'texts.users' } })],
  ]
  try {
    const trials = bridges.map(([key, bridge]) => ({
      key,
      inFlight: IN_FLIGHT,
      measure: async () => {
        const call = (/** @type {string} */ cookie) => bridge.getSession(cookie)
        const sample = await measureCalls(call, cookies, { inFlight: IN_FLIGHT, seconds, serverTime })
        const { cpu: addon = 0, serverCpu: ofServer = 0 } = sample
        return { addon, server: ofServer, both: addon + ofServer }
      },
    }))
    const results = await runRounds(trials, { rounds, warmUp: !short })
    const plain = results[0]?.metrics.both?.median ?? Number.NaN
    for (const { key, metrics } of results) {
      const { addon, server: ofServer, both } = metrics
      const [of, to] = [addon, ofServer].map((spread) => spread?.median.toFixed(1))
      const ratio = ((both?.median ?? Number.NaN) / plain).toFixed(3)
      console.log(
        `${key}: ${both?.median.toFixed(1)} µs of CPU a call (addon ${of}, server ${to}), ${ratio} of ${PLAIN}`,
      )
    }
  } finally {
    await Promise.all(bridges.map(([, bridge]) => bridge.close()))
  }
}

/** CPU time of all processes of the server so far, in µs. */
function serverTime() {
  return server.processes().reduce((sum, pid) => {
    const [onCpu] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')
    return sum + Number(onCpu) / 1000
  }, 0)
}
