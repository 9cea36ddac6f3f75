// With `listen`: how soon a session that was revoked by SQL has ended in another process, on an idle machine and under load; and how often
// the database is asked for sessions that are in use all the time. See README.md in this folder.
//
//   node benchmark/listen.mjs [--short] [--revocations=500] [--seconds=60]

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { startPostgres } from '../__test__/support/postgres.mjs'
import { createTriggers } from '../__test__/support/tenants.mjs'
import { AuthBridge } from '../index.js'
import { FULL, SECRET, SHORT, seed } from './seed.mjs'

const CALLS_PER_SECOND = 10_000
const { values } = parseArgs({
  options: { short: { type: 'boolean', default: false }, revocations: { type: 'string' }, seconds: { type: 'string' } },
})
const { short } = values
const revocations = Number(values.revocations ?? (short ? 5 : 500))
const seconds = Number(values.seconds ?? (short ? 2 : 60))
const maxStaleness = short ? 1_000 : 30_000

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
const server = await startPostgres()
const client = new pg.Client(server.url())
const common = { secret: SECRET, databaseUrl: server.url(), secureCookie: false }
try {
  const { cookies } = await seed(server.url(), short ? SHORT : FULL)
  await client.connect()
  await createTriggers(client)
  console.log(
    `From sending COMMIT to the last call of another process that gets the revoked session, ${revocations} times:`,
  )
  console.log(`  idle        ${await delays(cookies.slice(0, revocations / 2))}`)
  const load = await start({ ...common, maxStaleness: 0 })
  const loading = load.call('readMany', cookies, Number.MAX_SAFE_INTEGER)
  console.log(`  under load  ${await delays(cookies.slice(revocations / 2, revocations))}`)
  await load.call('finish')
  await loading
  load.stop()
  console.log(await keys(cookies))
} finally {
  await client.end()
  await server.dispose()
}

/** @param {string[]} cookies each of a session of its own, which is revoked */
async function delays(cookies) {
  const other = await start({ ...common, maxStaleness: 3_600_000, listen: true })
  await other.call('getSession', cookies[0])
  while (!(await other.stats()).listener?.listening) await sleep(10)
  /** @type {number[]} */
  const delays = []
  for (const cookie of cookies) {
    const { session_id } = await other.call('getSession', cookie)
    const reading = other.call('readMany', [cookie], Number.MAX_SAFE_INTEGER)
    await sleep(20 + 20 * Math.random())
    await client.query('BEGIN')
    await client.query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [session_id])
    const sent = Number(process.hrtime.bigint()) / 1e6
    await client.query('COMMIT')
    await sleep(100)
    await other.call('finish')
    const { lastLive } = await reading
    delays.push(lastLive[0] - sent)
  }
  other.stop()
  delays.sort((one, another) => one - another)
  const percentile = (/** @type {number} */ part) =>
    `${(delays[Math.ceil(part * delays.length) - 1] ?? 0).toFixed(2)} ms`
  return `median ${percentile(0.5)}, p90 ${percentile(0.9)}, p99 ${percentile(0.99)}, longest ${percentile(1)}`
}

/** How many sessions the database is asked for in a second, once each is kept. @param {string[]} cookies */
async function keys(cookies) {
  const bridge = new AuthBridge({ ...common, maxStaleness, listen: true })
  const asked = () => bridge.stats().batches.sum
  let calls = 0
  async function call(/** @type {number} */ forSeconds) {
    const began = performance.now()
    const first = calls
    for (let elapsed = 0; elapsed < forSeconds; elapsed = (performance.now() - began) / 1_000) {
      const due = []
      while (calls - first < elapsed * CALLS_PER_SECOND) due.push(bridge.getSession(cookies[calls++ % cookies.length]))
      await Promise.all(due)
      await sleep(1)
    }
    return (calls - first) / forSeconds
  }
  await call(maxStaleness / 1_000)
  const before = asked()
  const rate = await call(seconds)
  const perSecond = (asked() - before) / seconds
  await bridge.close()
  return `${cookies.length} sessions at ${Math.round(rate)} calls/s, maxStaleness ${maxStaleness} ms: ${perSecond.toFixed(1)} keys/s asked for`
}

/** Starts a process with a bridge. @param {import('../index.js').AuthBridgeOptions} options */
async function start(options) {
  const file = fileURLToPath(new URL('../__test__/support/bridge-process.mjs', import.meta.url))
  const child = fork(file, { env: { BRIDGE_OPTIONS: JSON.stringify(options) }, serialization: 'advanced' })
  /** @type {Map<number, (answer: { value?: any, error?: { message: string } }) => void>} */
  const waiting = new Map()
  let ids = 0
  child.on('message', (/** @type {any} */ answer) => waiting.get(answer.id)?.(answer))
  await once(child, 'message')
  /** @param {string} method @param {unknown[]} args @returns {Promise<any>} */
  async function call(method, ...args) {
    const id = ++ids
    const answered = new Promise((resolve) => waiting.set(id, resolve))
    child.send({ id, method, args })
    const { value, error } = await answered
    if (error) throw new Error(error.message)
    return value
  }
  return { call, stats: () => call('stats'), stop: () => child.disconnect() }
}
