'use server'

import { auth } from 'authjs-bridge/next'
import { revalidatePath } from 'next/cache'
import { redirect } from 'next/navigation'
import { signOut } from '@/auth'
import { revokeOtherSessions, revokeSession } from '@/lib/sessions'

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

/** Server actions are endpoints that anyone can call, so each has to check the session. */
async function signedIn() {
  const session = await auth()
  if (!session) redirect('/signin')
  return session
}
