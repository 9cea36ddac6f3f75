// Tenants with users and sessions, in the schema that the README shows.

import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'

const SCHEMA = new URL('../../schema.sql', import.meta.url)

/** @param {import('pg').Client} database */
export async function createTables(database) {
  await database.query(await readFile(SCHEMA, 'utf8'))
}

/**
 * @param {import('pg').Client} database
 * @param {{ tenant?: string, user_id?: string, user_type?: 'client' | 'internal', email?: string }} [columns]
 */
export async function createUser(database, columns = {}) {
  /** @type {{ tenant: string, user_id: string, user_type: 'client' | 'internal', email: string }} */
  const user = {
    tenant: randomUUID(),
    user_id: randomUUID(),
    user_type: 'internal',
    email: 'ada@example.com',
    ...columns,
  }
  await insert(database, 'users', user)
  return user
}

/**
 * @param {import('pg').Client} database
 * @param {{ tenant: string, user_id: string }} user
 * @param {{ session_id?: string, login_method?: string, expires_at?: Date | null, revoked_at?: Date | null }} [columns]
 */
export async function createSession(database, { tenant, user_id }, columns = {}) {
  const session = { tenant, session_id: randomUUID(), user_id, login_method: 'credentials', ...columns }
  await insert(database, 'sessions', session)
  return session
}

/**
 * The claims that an app's `jwt` callback puts into the token of this session.
 *
 * @param {{ tenant: string, user_id: string, user_type: string, email: string }} user
 * @param {{ session_id: string, login_method: string }} session
 * @param {Record<string, unknown>} [more]
 */
export function claimsOf(user, session, more = {}) {
  return {
    sub: user.user_id,
    id: user.user_id,
    email: user.email,
    tenant: user.tenant,
    user_type: user.user_type,
    session_id: session.session_id,
    login_method: session.login_method,
    ...more,
  }
}

/** @param {import('pg').Client} database @param {string} table @param {Record<string, unknown>} row */
async function insert(database, table, row) {
  const columns = Object.keys(row)
  const places = columns.map((_, index) => `$${index + 1}`)
  await database.query(`INSERT INTO ${table} (${columns}) VALUES (${places})`, Object.values(row))
}
