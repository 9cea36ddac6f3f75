import type { Metadata } from 'next'
import { Brand } from '@/components/brand'
import { SignInForm } from '@/components/sign-in-form'

export const metadata: Metadata = { title: 'Sign in' }

export default function SignIn() {
  return (
    <main className="signin">
      <Brand />
      <h1>Sign in</h1>
      <p className="muted">Try it as one of these two, on more than one device at a time.</p>
      <SignInForm />
    </main>
  )
}
