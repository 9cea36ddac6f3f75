import type { Metadata } from 'next'
import { redirect } from 'next/navigation'
import { Brand } from '@/components/brand'
import { SignInForm } from '@/components/sign-in-form'
import { auth } from '@/sessions'

export const metadata: Metadata = { title: 'Sign in' }

export default async function SignIn() {
  if (await auth()) redirect('/dashboard')
  return (
    <main className="signin">
      <Brand />
      <h1>Sign in</h1>
      <p className="muted">Try it as one of these two, on more than one device at a time.</p>
      <SignInForm />
    </main>
  )
}
