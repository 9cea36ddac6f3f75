import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, expect, inject } from 'vitest'
import { createTables } from './tenants.mjs'

/** Creates a database for one test file, and connects to it. By default it has the empty tables of schema.sql. */
export function useDatabase(prepare: (client: pg.Client) => Promise<unknown> = createTables) {
  const name = `test_${randomUUID().replaceAll('-', '')}`
  const url = new URL(inject('serverUrl'))
  url.pathname = name
  const client = new pg.Client(url.href)
  beforeAll(async () => {
    await onServer(`CREATE DATABASE ${name}`)
    await client.connect()
    await prepare(client)
  })
  afterAll(async () => {
    await client.end()
    // Without force it waits for connections that are closing, as `end()` of a pool does not: their clients would throw.
    await onServer(`DROP DATABASE ${name}`).catch(() => onServer(`DROP DATABASE ${name} WITH (FORCE)`))
  })
  return { client, url: url.href }
}

const WAITING = `SELECT count(*)::int FROM pg_locks
  WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`

/** Calls with the first header, and with all others while that call waits for a lock. A bridge with one connection sends one query for these. */
export async function inOneBatch<T>(
  client: pg.Client,
  [first, ...others]: string[],
  call: (header: string) => Promise<T>,
): Promise<T[]> {
  await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
  const calls = [call(first)]
  try {
    await expect.poll(async () => (await client.query(WAITING)).rows[0].count).toBe(1)
    calls.push(...others.map(call))
  } finally {
    await client.query('ROLLBACK')
  }
  return Promise.all(calls)
}

async function onServer(statement: string) {
  const client = new pg.Client(inject('serverUrl'))
  await client.connect()
  await client.query(statement).finally(() => client.end())
}
