// Full load with a fault every ten seconds: every call settles, and no memory or connection leaks. SOAK_MINUTES sets the
// duration, 1 by default.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AuthBridge } from '../../index.js'
import { SECRET } from '../support/bridges.js'
import { connections, QUICK, SLACK_MS, withClient } from '../support/faults.js'
import { startLoad } from '../support/load.mjs'
import { startPostgres } from '../support/postgres.mjs'
import { startProxy } from '../support/proxy.js'
import { createSessions, createTables, createUser } from '../support/tenants.mjs'

const MINUTES = Number(process.env.SOAK_MINUTES ?? 1)
const FAULT_EVERY_MS = 10_000
const MAX_CONNECTIONS = 10
/** Allowed growth of the process after the first sixth of the time, for garbage that is not yet collected. */
const GROWTH_MIB = 48

let server: Awaited<ReturnType<typeof startPostgres>>
let proxy: Awaited<ReturnType<typeof startProxy>>
let sessions: Awaited<ReturnType<typeof createSessions>>

beforeAll(async () => {
  server = await startPostgres()
  proxy = await startProxy(server.port)
  await withClient(server.url(), async (client) => {
    await createTables(client)
    sessions = await createSessions(client, await createUser(client), SECRET)
  })
})
afterAll(async () => {
  proxy.close()
  await server.dispose()
})

const execute = (sql: string) => withClient(server.url(), (client) => client.query(sql))
const faults: [string, () => Promise<unknown>][] = [
  [
    'connections ended',
    () => execute(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'authjs-bridge'`),
  ],
  ['answers cut', async () => proxy.disturb('cut')],
  [
    'crash and restart',
    async () => {
      await server.stop('immediate')
      await sleep(500)
      await server.start()
    },
  ],
  ['answers swallowed', async () => proxy.disturb('swallow')],
  [
    'server frozen',
    async () => {
      server.signal('SIGSTOP', { connections: true })
      await sleep(3000)
      server.signal('SIGCONT', { connections: true })
    },
  ],
  [
    'table locked',
    () =>
      withClient(server.url(), async (client) => {
        await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
        await sleep(2000)
        await client.query('ROLLBACK')
      }),
  ],
  [
    'network slow',
    async () => {
      proxy.disturb({ delayMs: 200 }, { always: true })
      await sleep(3000)
      proxy.disturb(undefined)
    },
  ],
  [
    'every new connection cut',
    async () => {
      proxy.disturb('cut', { always: true })
      await sleep(1000)
      proxy.disturb(undefined)
    },
  ],
  ['table altered', () => execute('ALTER TABLE sessions ADD COLUMN soak text; ALTER TABLE sessions DROP COLUMN soak')],
]

test(`${MINUTES} minutes at full load, a fault every ${FAULT_EVERY_MS / 1000} s`, async () => {
  const databaseUrl = server.url({ port: proxy.port })
  const bridge = new AuthBridge({ secret: SECRET, databaseUrl, maxConnections: MAX_CONNECTIONS, ...QUICK })
  const load = startLoad(bridge, sessions, { inFlight: 64, pauseMs: 0 })
  const memoryMiB = () => Math.round(process.memoryUsage().rss / 2 ** 20)
  const report = (what: string) =>
    console.log(
      `${what}: ${load.outcomes.answered} answered, ${JSON.stringify(load.outcomes.errors)}, ${memoryMiB()} MiB`,
    )

  const end = performance.now() + MINUTES * 60_000
  const settled = performance.now() + MINUTES * 10_000
  let memoryAtFirst: number | undefined
  for (let index = 0; performance.now() < end - FAULT_EVERY_MS; index++) {
    const next = performance.now() + FAULT_EVERY_MS
    const [name, strike] = faults[index % faults.length]
    await strike()
    // Calls succeed again.
    await load.answers(1000)
    report(name)
    await sleep(next - performance.now())
    if (performance.now() >= settled) memoryAtFirst ??= memoryMiB()
  }
  await load.answers(1000)
  const outcomes = await load.stop()
  report('end')

  expect(outcomes.wrong).toBe(0)
  const failed = Object.values(outcomes.errors).reduce((sum, count) => sum + count, 0)
  expect(outcomes.answered + failed).toBe(outcomes.started)
  const known = ['ERR_AUTH_BRIDGE_DATABASE', 'ERR_AUTH_BRIDGE_TIMEOUT']
  expect(Object.keys(outcomes.errors).filter((code) => !known.includes(code))).toEqual([])
  expect(outcomes.slowestMs).toBeLessThan(QUICK.callTimeout + SLACK_MS)

  const { calls, pool } = bridge.stats()
  expect({ ...calls, answered: calls.authenticated + calls.unauthenticated }).toMatchObject({
    answered: outcomes.answered,
    failed,
    pending: 0,
  })
  expect(pool.size).toBeLessThanOrEqual(MAX_CONNECTIONS)
  expect(pool.inUse).toBe(0)
  const ours = () => withClient(server.url(), (client) => connections(client))
  await expect.poll(ours).toBeLessThanOrEqual(MAX_CONNECTIONS)
  expect(memoryAtFirst).toBeDefined()
  expect(memoryMiB()).toBeLessThan((memoryAtFirst ?? 0) + GROWTH_MIB)
  await bridge.close()
  await expect.poll(ours).toBe(0)
})
