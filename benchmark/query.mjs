// The session query of the contestants in JavaScript, and how they judge its row.

import { SESSION_ID, TENANT_ID } from './seed.mjs'

const COLUMNS = `s.user_id, s.revoked_at IS NOT NULL AS revoked, coalesce(s.expires_at <= now(), false) AS expired,
  u.user_type`

/** @param {string} tenant @param {string} session_id both as SQL */
const findSession = (tenant, session_id) => `SELECT ${COLUMNS}
  FROM sessions s LEFT JOIN users u ON u.tenant = s.tenant AND u.user_id = s.user_id
  WHERE s.tenant = ${tenant} AND s.session_id = ${session_id}`

/** Parameters: tenant, session_id. */
export const FIND_SESSION = findSession('$1', '$2')

/**
 * Slides a session that is live, and returns the same columns. Parameters: tenant, session_id.
 */
export const SLIDE_SESSION = `UPDATE sessions s
  SET expires_at = now() + interval '30 days', last_activity_at = now(), updated_at = now()
  FROM users u
  WHERE s.tenant = $1 AND s.session_id = $2 AND s.revoked_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now())
    AND u.tenant = s.tenant AND u.user_id = s.user_id
  RETURNING ${COLUMNS}`

/** For pgbench. @param {string} tenant @param {string} session both as SQL for a number */
export const findSeeded = (tenant, session) => findSession(TENANT_ID(tenant), SESSION_ID(session))

/** Parameters: tenants, session_ids. Returns a row for each session that exists; `index` is its place, from 1. */
export const FIND_SESSIONS = `SELECT ${COLUMNS}, wanted.index
  FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY wanted(tenant, session_id, index)
  JOIN sessions s ON s.tenant = wanted.tenant AND s.session_id = wanted.session_id
  LEFT JOIN users u ON u.tenant = s.tenant AND u.user_id = s.user_id`

/** The columns of a row, in order. @typedef {[user_id: string, revoked: boolean, expired: boolean, user_type: string | null, index?: string]} SessionRow */

/** @param {SessionRow | undefined} row @param {import('./body.mjs').AuthSession} session */
export function isLive(row, { user }) {
  if (row === undefined) return false
  const [user_id, revoked, expired, user_type] = row
  return !revoked && !expired && user_id === user.id.toLowerCase() && user_type === user.user_type
}
