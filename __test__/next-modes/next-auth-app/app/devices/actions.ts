'use server'

import { revalidatePath } from 'next/cache'
import { bridge } from '@/auth'
import { auth, update } from '@/sessions'

export async function endSession(form: FormData) {
  const session = await auth()
  if (!session) return
  const { tenant, id } = session.user
  await bridge.revokeSession({
    tenant,
    userId: id,
    sessionId: String(form.get('session_id')),
    reason: 'ended elsewhere',
  })
  revalidatePath('/devices')
}

export async function choosePlan() {
  await update({ plan: 'pro' })
  revalidatePath('/devices')
}
