import pg from 'pg'
import { expect } from 'vitest'
import type { AuthBridge } from '../../index.js'

/** Short timeouts for tests of timeouts. Upper bounds in such tests add `SLACK_MS` for a busy machine. */
export const QUICK = { connectTimeout: 1000, queryTimeout: 1000, callTimeout: 2500 }
export const SLACK_MS = 2500

/** Runs a function with a new connection. If the server ends the connection meanwhile, the test goes on. */
export async function withClient<T>(url: string, run: (client: pg.Client) => Promise<T>) {
  const client = new pg.Client(url)
  client.on('error', () => {})
  await client.connect()
  try {
    return await run(client)
  } finally {
    await client.end()
  }
}

/** The number of connections that bridges have to the server. */
export async function connections(client: pg.Client, condition = '') {
  const ours = `SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'authjs-bridge' ${condition}`
  return (await client.query(ours)).rows[0].count
}

/** The code and the message that `getSession` rejects with, and how long that took. */
export async function rejectionOf(bridge: AuthBridge, cookie: string) {
  const start = performance.now()
  const outcome = await bridge.getSession(cookie).then(
    (body) => ({ resolved: body }),
    (error) => error,
  )
  expect(outcome).toBeInstanceOf(Error)
  return { code: outcome.code as string, message: outcome.message as string, elapsedMs: performance.now() - start }
}
