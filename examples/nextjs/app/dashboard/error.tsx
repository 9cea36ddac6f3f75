'use client'

import { Brand } from '@/components/brand'

/** Shown if `auth()` rejects: the database can't be reached, so the app can't tell whether the session is live. */
export default function Outage() {
  return (
    <main className="outage">
      <Brand />
      <h1>We can’t check your session right now</h1>
      <p>You have not been signed out. Your session is still there once our database answers again.</p>
      <button type="button" className="button" onClick={() => window.location.reload()}>
        Try again
      </button>
      <p className="muted">
        The client of Auth.js treats the error of <code>/api/auth/session</code> as signed out, as you see below. Only
        the server decides who may see what.
      </p>
    </main>
  )
}
