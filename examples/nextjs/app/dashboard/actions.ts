'use server'

import { revalidatePath } from 'next/cache'
import { redirect } from 'next/navigation'
import { signOut } from '@/auth'
import { PLANS, savePlan, saveUsername } from '@/lib/accounts'
import { auth, bridge, update } from '@/sessions'

const REASON = 'signed out from another device'

export async function signOutThisDevice() {
  await signOut({ redirectTo: '/signin' })
}

export async function signOutDevice(form: FormData) {
  const { owner } = await signedIn()
  await bridge.revokeSession({ ...owner, sessionId: String(form.get('session_id')), reason: REASON })
  revalidatePath('/dashboard')
}

export async function signOutOthers() {
  const { owner, session } = await signedIn()
  await bridge.revokeOtherSessions({ ...owner, sessionId: session.session_id, reason: REASON })
  revalidatePath('/dashboard')
}

export async function changeUsername(form: FormData) {
  const { session } = await signedIn()
  const username = String(form.get('username')).trim()
  await saveUsername(session.user, username)
  // The page after this action shows it, and so do the requests that follow.
  await update({ username })
  revalidatePath('/dashboard')
}

/** For the tenant's staff. Changes the database alone: the cookies of all its users stay as they are. */
export async function changePlan(form: FormData) {
  const { session } = await signedIn()
  const plan = String(form.get('plan'))
  if (session.user.user_type !== 'internal' || !PLANS.includes(plan)) return
  await savePlan(session.user.tenant, plan)
  revalidatePath('/dashboard')
}

/** Server actions are endpoints that anyone can call, so each has to check the session. */
async function signedIn() {
  const session = await auth()
  if (!session) redirect('/signin')
  return { session, owner: { tenant: session.user.tenant, userId: session.user.id } }
}
