import { database } from '@/lib/database'
import { hashPassword, verifyPassword } from '@/lib/passwords'

/** The user data that goes into the claims of the token. */
export interface Account {
  id: string
  email: string
  name: string
  username: string
  tenant: string
  tenantSlug: string
  plan: string
  addons: string[]
  user_type: 'client' | 'internal'
  contactId?: string
  clientId?: string
}

const QUERY = `
  SELECT users.*, passwords.hash, contacts.client_id, tenants.slug, tenants.plan, tenants.addons
    FROM users
    JOIN passwords USING (tenant, user_id)
    JOIN tenants USING (tenant)
    LEFT JOIN contacts USING (tenant, contact_id)
   WHERE users.email = $1`

/** Verified for an unknown address, so that it takes as long as a wrong password. */
const dummyHash = hashPassword('')

export async function findAccount(email: string, password: string): Promise<Account | null> {
  const { rows } = await database.query(QUERY, [email.trim().toLowerCase()])
  const row = rows[0]
  const right = await verifyPassword(password, row?.hash ?? (await dummyHash))
  if (!row || !right) return null
  return {
    id: row.user_id,
    email: row.email,
    name: `${row.first_name} ${row.last_name}`,
    username: row.username,
    tenant: row.tenant,
    tenantSlug: row.slug,
    plan: row.plan,
    addons: row.addons,
    user_type: row.user_type,
    contactId: row.contact_id ?? undefined,
    clientId: row.client_id ?? undefined,
  }
}

export async function saveUsername({ tenant, id }: Pick<Account, 'tenant' | 'id'>, username: string) {
  await database.query('UPDATE users SET username = $3 WHERE tenant = $1 AND user_id = $2', [tenant, id, username])
}

export const PLANS = ['solo', 'pro', 'premium']

export async function savePlan(tenant: string, plan: string) {
  await database.query('UPDATE tenants SET plan = $2 WHERE tenant = $1', [tenant, plan])
}

export type User = Pick<Account, 'id' | 'tenant' | 'name' | 'email'>

export async function listUsers(tenant: string): Promise<User[]> {
  const { rows } = await database.query(
    `SELECT user_id AS id, tenant, email, first_name || ' ' || last_name AS name FROM users WHERE tenant = $1
      ORDER BY name`,
    [tenant],
  )
  return rows
}
