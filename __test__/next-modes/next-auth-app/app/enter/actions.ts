'use server'

import { createUser } from '@/accounts'

export async function signUp(form: FormData) {
  await createUser(String(form.get('email')))
}
