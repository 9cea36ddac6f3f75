import { bridge } from '@/auth'
import { auth } from '@/sessions'
import { choosePlan, endSession } from './actions'
import { SignOut } from './sign-out'

export default async function Page() {
  const session = await auth()
  if (!session) throw new Error('the proxy let nobody in')
  const { tenant, id, plan } = session.user
  const devices = await bridge.listSessions({ tenant, userId: id, current: session.session_id })
  return (
    <main>
      <ul>
        {devices.map(({ sessionId, deviceName, current }) => (
          <li key={sessionId}>
            <span>{current ? `${deviceName}, this device` : deviceName}</span>
            <form action={endSession}>
              <input type="hidden" name="session_id" value={sessionId} />
              <button type="submit">End</button>
            </form>
          </li>
        ))}
      </ul>
      <form action={choosePlan}>
        <output>{plan ?? 'no plan'}</output>
        <button type="submit">Choose pro</button>
      </form>
      <SignOut />
    </main>
  )
}
