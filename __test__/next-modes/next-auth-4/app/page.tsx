import { withSessions } from 'authjs-bridge/next-auth'
import { headers } from 'next/headers'
import { getServerSession } from 'next-auth'
import { bridge, options } from '@/auth'

/** What next-auth says, and what the bridge says, in one page. */
export default async function Page() {
  const session = await getServerSession(withSessions(options, { bridge }))
  const read = await bridge.getSession((await headers()).get('cookie'))
  return (
    <main>
      <p id="authjs">{JSON.stringify(session)}</p>
      <p id="bridge">{JSON.stringify(read)}</p>
    </main>
  )
}
