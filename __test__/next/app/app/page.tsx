import { auth } from 'authjs-bridge/next'
import { redirect } from 'next/navigation'
import { asks, countedAuth } from '@/asks'
import { notes, signOutHere } from './actions'

export async function generateMetadata() {
  asks.count = 0
  return { title: (await countedAuth())?.user.email ?? 'nobody' }
}

export default async function Page() {
  const session = await auth()
  if (!session && notes.length === 0) redirect('/signin')
  await Promise.all([countedAuth(), countedAuth()])
  return (
    <main>
      <p id="session">{session?.session_id ?? 'none'}</p>
      <Asks />
      <p id="notes">{notes.splice(0).join()}</p>
      <form action={signOutHere}>
        <button type="submit">Sign out</button>
      </form>
    </main>
  )
}

async function Asks() {
  await countedAuth()
  return <p id="asks">{asks.count}</p>
}
