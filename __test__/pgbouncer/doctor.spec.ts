// Tests `npx authjs-bridge doctor` with a PgBouncer in front of the database.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { diagnose, MARKERS } from '../support/command-line.js'
import { withClient } from '../support/faults.js'
import { startPgBouncer } from '../support/pgbouncer.mjs'
import { startPostgres } from '../support/postgres.mjs'
import { createTables } from '../support/tenants.mjs'

const TRANSACTION_MODE = 'one that shares connections, as PgBouncer does in transaction mode'
const WHAT_TO_SET = /preparedStatements: false.*pgbouncer=true|pgbouncer=true.*preparedStatements: false/

let server: Awaited<ReturnType<typeof startPostgres>>

beforeAll(async () => {
  server = await startPostgres()
  await withClient(server.url(), createTables)
})
afterAll(() => server.dispose())

/** Runs `doctor` through a PgBouncer with these settings. */
async function examine(settings: Record<string, string | number>, parameters = '') {
  const pooler = await startPgBouncer(server.url(), settings)
  try {
    const url = server.url({ port: pooler.port }) + parameters
    return await diagnose({ env: { AUTH_SECRET: MARKERS.secret, DATABASE_URL: url } })
  } finally {
    await pooler.stop()
  }
}

test('in transaction mode, which refuses our settings: the advice', async () => {
  const { code, check, withStatus } = await examine({})
  expect(check('connection')).toMatchObject({
    message: expect.stringMatching(/unsupported startup parameter: options \(SQLSTATE 08P01\)$/),
    advice: expect.stringMatching(WHAT_TO_SET),
  })
  expect({ code, failed: withStatus('failed') }).toEqual({ code: 1, failed: ['connection'] })
})

test('in transaction mode, which ignores our settings: statements get lost, and the advice', async () => {
  const { check, withStatus } = await examine({ ignore_startup_parameters: 'options' })
  expect(check('pooler')).toMatchObject({
    message: `${TRANSACTION_MODE}; but statements are prepared, and the next query may not find them`,
    advice: expect.stringMatching(WHAT_TO_SET),
  })
  expect(withStatus('warning')).toEqual(['pooler'])
})

test('in transaction mode, with prepared statements already lost', async () => {
  const settings = { ignore_startup_parameters: 'options', server_reset_query_always: 1 }
  const { code, check } = await examine(settings)
  expect(check('lookups')).toMatchObject({
    status: 'failed',
    message: expect.stringMatching(/prepared statement "\w+" does not exist \(SQLSTATE 26000\)$/),
    advice: expect.stringMatching(WHAT_TO_SET),
  })
  expect(code).toBe(1)
})

test('in transaction mode with pgbouncer=true: every check passes', async () => {
  const { code, check, withStatus } = await examine({}, '?pgbouncer=true')
  expect(check('pooler')?.message).toBe(`${TRANSACTION_MODE}; statements are not prepared`)
  expect({ code, ok: withStatus('ok').length }).toEqual({ code: 0, ok: 18 })
})

test('in session mode: every check passes', async () => {
  const settings = { pool_mode: 'session', ignore_startup_parameters: 'options', default_pool_size: 5 }
  const { code, check, withStatus } = await examine(settings)
  expect(check('pooler')?.message).toBe('one that gives each client a connection of its own')
  expect({ code, ok: withStatus('ok').length }).toEqual({ code: 0, ok: 18 })
})

test.each<[string, Parameters<typeof server.url>[0], RegExp]>([
  ['a wrong password', { password: MARKERS.password }, /^Correct user and password in DATABASE_URL/],
  ['a database that it does not know', { database: 'nowhere' }, /^Correct the database in DATABASE_URL, or add it to/],
])('%s: what to correct, and nothing of prepared statements', async (_, parts, advice) => {
  const pooler = await startPgBouncer(server.url(), { databases: 'postgres', ignore_startup_parameters: 'options' })
  const url = server.url({ port: pooler.port, ...parts })
  const { check } = await diagnose({ env: { AUTH_SECRET: MARKERS.secret, DATABASE_URL: url } })
  await pooler.stop()
  expect(check('connection')).toMatchObject({ status: 'failed', advice: expect.stringMatching(advice) })
  expect(check('connection')?.message).not.toMatch(/preparedStatements|pgbouncer=true/)
})
