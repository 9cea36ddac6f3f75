import { headers } from 'next/headers'
import { auth, bridge } from '@/auth'
import { enter, leave, upgrade } from './actions'

/** What Auth.js says, and what the bridge says, in one page. */
export default async function Page() {
  const session = await auth()
  const read = await bridge.getSession((await headers()).get('cookie'))
  return (
    <main>
      <p id="authjs">{JSON.stringify(session)}</p>
      <p id="bridge">{JSON.stringify(read)}</p>
      <form id="enter" action={enter}>
        <input name="email" />
      </form>
      <form id="leave" action={leave} />
      <form id="upgrade" action={upgrade} />
    </main>
  )
}
