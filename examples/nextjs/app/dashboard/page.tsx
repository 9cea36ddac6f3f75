import type { Metadata } from 'next'
import { redirect } from 'next/navigation'
import { Brand } from '@/components/brand'
import { Devices } from '@/components/devices'
import { SessionBody } from '@/components/session-body'
import { SessionFields } from '@/components/session-fields'
import { auth } from '@/sessions'

export const metadata: Metadata = { title: 'Your session' }

export default async function Dashboard() {
  const session = await auth()
  if (!session) redirect('/signin')
  return (
    <>
      <header className="header">
        <Brand />
        <span className="user">
          <span className="avatar" aria-hidden>
            {initials(session.user.name)}
          </span>
          <span className="user-name">{session.user.name}</span>
        </span>
      </header>
      <main className="dashboard">
        <SessionFields session={session} />
        <Devices session={session} />
        <SessionBody />
      </main>
    </>
  )
}

function initials(name: string) {
  return name
    .split(' ')
    .map((word) => word[0])
    .join('')
}
