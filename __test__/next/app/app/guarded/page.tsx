import { redirect } from 'next/navigation'
import { auth } from '@/sessions'

export default async function Guarded() {
  const session = await auth()
  if (!session) redirect('/guarded/signin')
  return <p id="session">{session.session_id}</p>
}
