import { auth } from 'authjs-bridge/next'
import { revalidatePath } from 'next/cache'
import { Client } from 'pg'

/** The results of `auth()` before and after the action revokes the session. */
export const notes: string[] = []

export async function signOutHere() {
  'use server'
  const before = await auth()
  const database = new Client(process.env.DATABASE_URL)
  await database.connect()
  await database.query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [before?.session_id])
  await database.end()
  const after = await auth()
  notes.push(before?.session_id ?? 'none', after?.session_id ?? 'none')
  revalidatePath('/')
}
