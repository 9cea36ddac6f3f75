import { auth } from 'authjs-bridge/next'

export default async function Page() {
  const session = await auth()
  return <h1>Hello {session?.user.name}</h1>
}
