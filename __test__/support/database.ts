import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, inject } from 'vitest'
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
    await onServer(`DROP DATABASE ${name} WITH (FORCE)`)
  })
  return { client, url: url.href }
}

async function onServer(statement: string) {
  const client = new pg.Client(inject('serverUrl'))
  await client.connect()
  await client.query(statement)
  await client.end()
}
