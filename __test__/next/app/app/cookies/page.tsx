import { revalidatePath } from 'next/cache'
import { cookies, headers } from 'next/headers'
import { auth, update } from '@/sessions'

/** Shows what a page knows of the request. */
export default async function Cookies() {
  const session = await auth()
  return (
    <main>
      <p id="session">{session?.session_id ?? 'none'}</p>
      <p id="plan">{session?.user.plan ?? 'none'}</p>
      <p id="header">{(await headers()).get('cookie')}</p>
      <p id="jar">{(await cookies()).toString()}</p>
      <p id="added">{(await headers()).get('x-added')}</p>
      <form action={upgrade}>
        <button type="submit">Upgrade</button>
      </form>
    </main>
  )
}

async function upgrade() {
  'use server'
  await update({ plan: 'enterprise' })
  revalidatePath('/cookies')
}
