// Creates users and sessions in the tables of schema.sql.

import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { mintCookie } from './cookies.mjs'

const SCHEMA = new URL('../../schema.sql', import.meta.url)
const NOTIFY = new URL('../../schema/notify.sql', import.meta.url)

/** @param {import('pg').Client} database */
export async function createTables(database) {
  await database.query(await readFile(SCHEMA, 'utf8'))
}

/** The triggers for `listen`. @param {import('pg').Client} database */
export async function createTriggers(database) {
  await database.query(await readFile(NOTIFY, 'utf8'))
}

/** @param {import('pg').Client} database */
export async function createWatchedTables(database) {
  await createTables(database)
  await createTriggers(database)
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
 * The claims that the `jwt` callback of an app adds to the token of this session.
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

/**
 * Creates four live sessions and a revoked one, for `startLoad`.
 *
 * @param {import('pg').Client} database
 * @param {Parameters<typeof claimsOf>[0]} user
 * @param {string} secret
 */
export async function createSessions(database, user, secret) {
  const sessions = []
  for (const revoked_at of [null, null, null, null, new Date()]) {
    const session = await createSession(database, user, { revoked_at })
    const cookie = await mintCookie(claimsOf(user, session), { secret })
    sessions.push({ cookie, sessionId: revoked_at ? undefined : session.session_id })
  }
  return sessions
}

/** @param {import('pg').Client} database @param {string} table @param {Record<string, unknown>} row */
async function insert(database, table, row) {
  const columns = Object.keys(row)
  const places = columns.map((_, index) => `$${index + 1}`)
  await database.query(`INSERT INTO ${table} (${columns}) VALUES (${places})`, Object.values(row))
}
