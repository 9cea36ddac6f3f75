'use client'

import { useSession } from 'next-auth/react'

/** The session status of the Auth.js client. */
export function SessionStatus() {
  const { status } = useSession()
  return (
    <span className={`status status-${status}`}>
      <code>useSession()</code> {status}
    </span>
  )
}
