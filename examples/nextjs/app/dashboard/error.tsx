'use client'

import { Brand } from '@/components/brand'

/** What `auth()` rejects with ends here: the database can't be asked, so nobody knows whether the session lives. */
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
        The client of Auth.js takes the failed answer of <code>/api/auth/session</code> for signed out, as you see
        below. Who may see what is for the server to decide.
      </p>
    </main>
  )
}
