import type { Metadata } from 'next'
import Link from 'next/link'
import { redirect } from 'next/navigation'
import { endAllSessions, endSession } from '@/app/admin/actions'
import { DeviceText } from '@/components/device-text'
import { Header } from '@/components/header'
import { listUsers, type User } from '@/lib/accounts'
import { auth, bridge } from '@/sessions'

export const metadata: Metadata = { title: 'Sessions of all users' }

/** For the tenant's own staff: who is signed in, and on which devices. */
export default async function Admin() {
  const session = await auth()
  if (!session) redirect('/signin')
  if (session.user.user_type !== 'internal') redirect('/dashboard')
  const users = await listUsers(session.user.tenant)
  return (
    <>
      <Header name={session.user.name}>
        <Link href="/dashboard">Your session</Link>
      </Header>
      <main className="dashboard">
        {users.map((user) => (
          <SessionsOf key={user.id} user={user} current={session.session_id} />
        ))}
      </main>
    </>
  )
}

async function SessionsOf({ user: { id, name, tenant, email }, current }: { user: User; current: string }) {
  const sessions = await bridge.listSessions({ tenant, userId: id, current })
  return (
    <section className="card" aria-label={name}>
      <h2>
        {name} <span className="muted">{email}</span>
      </h2>
      {sessions.length === 0 && <p className="muted">Signed in nowhere.</p>}
      <ul className="devices">
        {sessions.map((session) => (
          <li key={session.sessionId} className="device">
            <DeviceText device={session} />
            <form action={endSession}>
              <input type="hidden" name="session_id" value={session.sessionId} />
              <button type="submit" className="button button-quiet" aria-label={`End ${session.deviceName} of ${name}`}>
                End
              </button>
            </form>
          </li>
        ))}
      </ul>
      {sessions.length > 0 && (
        <form action={endAllSessions}>
          <input type="hidden" name="user_id" value={id} />
          <button type="submit" className="button button-danger" aria-label={`End all of ${name}`}>
            End all
          </button>
        </form>
      )}
    </section>
  )
}
