'use server'

import { revalidatePath } from 'next/cache'
import { redirect } from 'next/navigation'
import { signOut } from '@/auth'
import { saveUsername } from '@/lib/accounts'
import { revokeOtherSessions, revokeSession } from '@/lib/session-rows'
import { auth, update } from '@/sessions'

export async function signOutThisDevice() {
  await signOut({ redirectTo: '/signin' })
}

export async function signOutDevice(form: FormData) {
  const { user } = await signedIn()
  await revokeSession({ ...user, session_id: form.get('session_id') }, 'signed out from another device')
  revalidatePath('/dashboard')
}

export async function signOutOthers() {
  const { user, session_id } = await signedIn()
  await revokeOtherSessions({ ...user, session_id }, 'signed out from another device')
  revalidatePath('/dashboard')
}

export async function changeUsername(form: FormData) {
  const { user } = await signedIn()
  const username = String(form.get('username')).trim()
  await saveUsername(user, username)
  // The page after this action shows it, and so do the requests that follow.
  await update({ username })
  revalidatePath('/dashboard')
}

/** Server actions are endpoints that anyone can call, so each has to check the session. */
async function signedIn() {
  const session = await auth()
  if (!session) redirect('/signin')
  return session
}
