'use server'

import { signIn, signOut, unstable_update } from '@/auth'

export async function enter(form: FormData) {
  await signIn('credentials', { email: form.get('email'), redirectTo: '/' })
}

export async function leave() {
  await signOut({ redirectTo: '/' })
}

export async function upgrade() {
  await unstable_update({ plan: 'pro', tenant: 'x' } as object)
}
