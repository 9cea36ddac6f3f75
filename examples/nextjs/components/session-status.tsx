'use client'

import { useSession } from 'next-auth/react'

/** What the client of Auth.js makes of our endpoint. */
export function SessionStatus() {
  const { status } = useSession()
  return (
    <span className={`status status-${status}`}>
      <code>useSession()</code> {status}
    </span>
  )
}
