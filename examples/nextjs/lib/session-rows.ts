// The table `sessions`: who is signed in on which device, and until when.

import { randomUUID } from 'node:crypto'
import type { JWT } from 'next-auth/jwt'
import type { Account } from '@/lib/accounts'
import { database } from '@/lib/database'
import { describeDevice } from '@/lib/devices'
import { SESSION_SECONDS } from '@/lib/lifetime'

/** Inserts the row of a new session. @returns the claims that go into its token */
export async function startSession(user: Account, loginMethod: string, headers: Headers): Promise<JWT> {
  const session_id = randomUUID()
  const userAgent = headers.get('user-agent') ?? ''
  const device = describeDevice(userAgent)
  await database.query(
    `INSERT INTO sessions (tenant, session_id, user_id, login_method, expires_at, last_activity_at,
                           ip_address, user_agent, device_name, device_type)
     VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5), now(), $6, $7, $8, $9)`,
    [
      user.tenant,
      session_id,
      user.id,
      loginMethod,
      SESSION_SECONDS,
      // Trustworthy only if your own proxy in front of the app sets it.
      headers.get('x-forwarded-for')?.split(',')[0]?.trim() ?? null,
      userAgent,
      device.name,
      device.type,
    ],
  )
  return { ...user, session_id, login_method: loginMethod }
}

interface Claims {
  tenant: unknown
  id: unknown
  session_id: unknown
}

export async function revokeSession({ tenant, id, session_id }: Claims, reason: string) {
  await database.query(
    `UPDATE sessions SET revoked_at = now(), revoked_reason = $4, updated_at = now()
      WHERE tenant = $1 AND user_id = $2 AND session_id::text = $3 AND revoked_at IS NULL`,
    [tenant, id, session_id, reason],
  )
}

/** Revokes all sessions of the user except the given one. */
export async function revokeOtherSessions({ tenant, id, session_id }: Claims, reason: string) {
  await database.query(
    `UPDATE sessions SET revoked_at = now(), revoked_reason = $4, updated_at = now()
      WHERE tenant = $1 AND user_id = $2 AND session_id <> $3 AND revoked_at IS NULL`,
    [tenant, id, session_id, reason],
  )
}

export interface Device {
  session_id: string
  device_name: string
  device_type: string
  ip_address: string | null
  last_activity_at: Date
}

export async function listDevices({ tenant, id }: Pick<Claims, 'tenant' | 'id'>): Promise<Device[]> {
  const { rows } = await database.query(
    `SELECT session_id, device_name, device_type, ip_address, last_activity_at FROM sessions
      WHERE tenant = $1 AND user_id = $2 AND revoked_at IS NULL AND expires_at > now()
      ORDER BY last_activity_at DESC`,
    [tenant, id],
  )
  return rows
}
