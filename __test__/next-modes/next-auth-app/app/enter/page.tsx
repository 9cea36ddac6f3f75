'use client'

import { signIn } from 'next-auth/react'
import { signUp } from '@/app/enter/actions'

export default function Page() {
  const enter = (form: FormData) => signIn('credentials', { email: String(form.get('email')), callbackUrl: '/devices' })
  return (
    <form>
      <input name="email" aria-label="E-mail" />
      <button
        type="submit"
        formAction={async (form) => {
          await signUp(form)
          await enter(form)
        }}
      >
        Sign up
      </button>
      <button
        type="submit"
        formAction={async (form) => {
          await enter(form)
        }}
      >
        Sign in
      </button>
    </form>
  )
}
