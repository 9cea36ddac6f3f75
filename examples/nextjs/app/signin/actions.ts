'use server'

import { AuthError } from 'next-auth'
import { signIn } from '@/auth'

export interface Attempt {
  email: string
  problem: string
}

/** Returns the problem, if there is one; else Next.js redirects to the dashboard. */
export async function signInWithPassword(_previous: Attempt, form: FormData): Promise<Attempt> {
  const email = String(form.get('email'))
  try {
    return await signIn('credentials', { email, password: form.get('password'), redirectTo: '/dashboard' })
  } catch (error) {
    // Next.js throws to redirect; only an AuthError is a problem.
    if (!(error instanceof AuthError)) throw error
    const wrong = error.type === 'CredentialsSignin'
    return { email, problem: wrong ? WRONG : UNAVAILABLE }
  }
}

const WRONG = 'That e-mail address and password don’t match.'
const UNAVAILABLE = 'You can’t be signed in right now. Please try again in a moment.'
