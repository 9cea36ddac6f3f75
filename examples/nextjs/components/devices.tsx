import type { AuthSession } from 'authjs-bridge'
import { signOutDevice, signOutOthers, signOutThisDevice } from '@/app/dashboard/actions'
import { type Device, listDevices } from '@/lib/session-rows'

export async function Devices({ session }: { session: AuthSession }) {
  const devices = await listDevices(session.user)
  const others = devices.length - 1
  return (
    <section className="card" aria-labelledby="devices">
      <h2 id="devices">Your devices</h2>
      <ul className="devices">
        {devices.map((device) => (
          <DeviceRow key={device.session_id} device={device} current={device.session_id === session.session_id} />
        ))}
      </ul>
      {others > 0 && (
        <form action={signOutOthers}>
          <button type="submit" className="button button-danger">
            Sign out all others
          </button>
        </form>
      )}
    </section>
  )
}

function DeviceRow({ device, current }: { device: Device; current: boolean }) {
  return (
    <li className="device">
      <DeviceIcon type={device.device_type} />
      <div className="device-text">
        <span className="device-name">
          {device.device_name}
          {current && <span className="badge badge-current">This device</span>}
        </span>
        <span className="muted">{current ? 'Active now' : `Active ${ago(device.last_activity_at)}`}</span>
      </div>
      <form action={current ? signOutThisDevice : signOutDevice}>
        <input type="hidden" name="session_id" value={device.session_id} />
        <button type="submit" className="button button-quiet" aria-label={`Sign out ${device.device_name}`}>
          Sign out
        </button>
      </form>
    </li>
  )
}

function DeviceIcon({ type }: { type: string }) {
  return (
    <svg className="device-icon" viewBox="0 0 24 24" aria-hidden="true">
      {type === 'phone' ? (
        <path d="M8 3h8a1 1 0 0 1 1 1v16a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zM11 18h2" />
      ) : (
        <path d="M4 5h16v11H4zM9 20h6M12 16v4" />
      )}
    </svg>
  )
}

function ago(time: Date) {
  const minutes = Math.floor((Date.now() - time.getTime()) / 60_000)
  if (minutes < 1) return 'just now'
  const format = new Intl.RelativeTimeFormat('en')
  if (minutes < 60) return format.format(-minutes, 'minute')
  if (minutes < 24 * 60) return format.format(-Math.floor(minutes / 60), 'hour')
  return format.format(-Math.floor(minutes / 60 / 24), 'day')
}
