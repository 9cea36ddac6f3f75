import type { Metadata } from 'next'
import Link from 'next/link'
import { redirect } from 'next/navigation'
import { Devices } from '@/components/devices'
import { Header } from '@/components/header'
import { Plan } from '@/components/plan'
import { SessionBody } from '@/components/session-body'
import { SessionFields } from '@/components/session-fields'
import { Timings } from '@/components/timings'
import { timed } from '@/lib/timed'
import { auth, bridge } from '@/sessions'

export const metadata: Metadata = { title: 'Your session' }

export default async function Dashboard() {
  const { result: session, milliseconds: ofAuth } = await timed(auth)
  if (!session) redirect('/signin')
  const { tenant, id: userId, user_type } = session.user
  const { result: devices, milliseconds: ofDevices } = await timed(() =>
    bridge.listSessions({ tenant, userId, current: session.session_id }),
  )
  return (
    <>
      <Header name={session.user.name}>{user_type === 'internal' && <Link href="/admin">All sessions</Link>}</Header>
      <main className="dashboard">
        <div className="column">
          <SessionFields session={session} />
          <Plan user={session.user} />
        </div>
        <div className="column">
          <Devices devices={devices} />
          <Timings ofAuth={ofAuth} ofDevices={ofDevices} />
        </div>
        <SessionBody />
      </main>
    </>
  )
}
