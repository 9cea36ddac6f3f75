'use client'

import { useActionState, useRef } from 'react'
import { signInWithPassword } from '@/app/signin/actions'

const ACCOUNTS = [
  { name: 'Ada Lovelace', role: 'Staff of Acme', email: 'ada@acme.example', password: 'analytical-engine' },
  { name: 'Grace Hopper', role: 'Client portal', email: 'grace@client.example', password: 'nanoseconds' },
]

export function SignInForm() {
  const [attempt, action, pending] = useActionState(signInWithPassword, { email: '', problem: '' })
  const email = useRef<HTMLInputElement>(null)
  const password = useRef<HTMLInputElement>(null)

  function fill(account: (typeof ACCOUNTS)[number]) {
    if (email.current) email.current.value = account.email
    if (password.current) password.current.value = account.password
  }

  return (
    <form action={action}>
      <div className="accounts">
        {ACCOUNTS.map((account) => (
          <button type="button" key={account.email} className="account" onClick={() => fill(account)}>
            <strong>{account.name}</strong>
            <span className="muted">{account.role}</span>
          </button>
        ))}
      </div>
      <label>
        E-mail
        <input ref={email} name="email" type="email" defaultValue={attempt.email} autoComplete="username" required />
      </label>
      <label>
        Password
        <input ref={password} name="password" type="password" autoComplete="current-password" required />
      </label>
      <p className="problem" role="alert">
        {attempt.problem}
      </p>
      <button type="submit" className="button" disabled={pending}>
        {pending ? 'Signing in…' : 'Sign in'}
      </button>
    </form>
  )
}
