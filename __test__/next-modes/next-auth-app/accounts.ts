import { randomUUID } from 'node:crypto'
import pg from 'pg'

/** Connects at the first query, not at `next build`. */
const database = new pg.Pool({ connectionString: process.env.DATABASE_URL })

/** The app's check of a password, without the password. */
export async function findUser(email: unknown) {
  const { rows } = await database.query('SELECT user_id AS id, tenant, user_type, email FROM users WHERE email = $1', [
    email,
  ])
  return rows[0] ?? null
}

export async function createUser(email: string) {
  await database.query(`INSERT INTO users (tenant, user_id, user_type, email) VALUES ($1, $2, 'client', $3)`, [
    randomUUID(),
    randomUUID(),
    email,
  ])
}
