'use server'

import { AuthError } from 'next-auth'
import { signIn } from '@/auth'

export interface Attempt {
  email: string
  problem: string
}

/** @returns what went wrong; if nothing did, Next.js goes on to the dashboard */
export async function signInWithPassword(_previous: Attempt, form: FormData): Promise<Attempt> {
  const email = String(form.get('email'))
  try {
    return await signIn('credentials', { email, password: form.get('password'), redirectTo: '/dashboard' })
  } catch (error) {
    // What is no AuthError is the redirect, by which Next.js goes on.
    if (!(error instanceof AuthError)) throw error
    const wrong = error.type === 'CredentialsSignin'
    return { email, problem: wrong ? WRONG : UNAVAILABLE }
  }
}

const WRONG = 'That e-mail address and password don’t match.'
const UNAVAILABLE = 'You can’t be signed in right now. Please try again in a moment.'
