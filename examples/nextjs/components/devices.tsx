import type { ListedSession } from 'authjs-bridge'
import { signOutDevice, signOutOthers, signOutThisDevice } from '@/app/dashboard/actions'
import { DeviceText } from '@/components/device-text'

export function Devices({ devices }: { devices: ListedSession[] }) {
  return (
    <section className="card" aria-labelledby="devices">
      <h2 id="devices">Your devices</h2>
      <ul className="devices">
        {devices.map((device) => (
          <DeviceRow key={device.sessionId} device={device} />
        ))}
      </ul>
      {devices.length > 1 && (
        <form action={signOutOthers}>
          <button type="submit" className="button button-danger">
            Sign out all others
          </button>
        </form>
      )}
    </section>
  )
}

function DeviceRow({ device }: { device: ListedSession }) {
  return (
    <li className="device">
      <DeviceText device={device} />
      <form action={device.current ? signOutThisDevice : signOutDevice}>
        <input type="hidden" name="session_id" value={device.sessionId} />
        <button type="submit" className="button button-quiet" aria-label={`Sign out ${device.deviceName}`}>
          Sign out
        </button>
      </form>
    </li>
  )
}
