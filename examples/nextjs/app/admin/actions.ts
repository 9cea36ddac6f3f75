'use server'

import { revalidatePath } from 'next/cache'
import { redirect } from 'next/navigation'
import { auth, bridge } from '@/sessions'

const REASON = 'ended by an administrator'

export async function endSession(form: FormData) {
  const tenant = await tenantOfStaff()
  await bridge.revokeSession({ tenant, sessionId: String(form.get('session_id')), anyUser: true, reason: REASON })
  revalidatePath('/admin')
}

export async function endAllSessions(form: FormData) {
  const tenant = await tenantOfStaff()
  await bridge.revokeSessions({ tenant, userId: String(form.get('user_id')), reason: REASON })
  revalidatePath('/admin')
}

/** The tenant of the session, never one that a form says. */
async function tenantOfStaff() {
  const session = await auth()
  if (session?.user.user_type !== 'internal') redirect('/signin')
  return session.user.tenant
}
