import type { Metadata } from 'next'
import Link from 'next/link'
import { redirect } from 'next/navigation'
import { Devices } from '@/components/devices'
import { Header } from '@/components/header'
import { SessionBody } from '@/components/session-body'
import { SessionFields } from '@/components/session-fields'
import { auth } from '@/sessions'

export const metadata: Metadata = { title: 'Your session' }

export default async function Dashboard() {
  const session = await auth()
  if (!session) redirect('/signin')
  return (
    <>
      <Header name={session.user.name}>
        {session.user.user_type === 'internal' && <Link href="/admin">All sessions</Link>}
      </Header>
      <main className="dashboard">
        <SessionFields session={session} />
        <Devices session={session} />
        <SessionBody />
      </main>
    </>
  )
}
