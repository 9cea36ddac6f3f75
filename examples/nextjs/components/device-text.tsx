import type { ListedSession } from 'authjs-bridge'

export function DeviceText({ device: { current, deviceName, deviceType, lastActivityAt } }: { device: ListedSession }) {
  return (
    <>
      <DeviceIcon type={deviceType} />
      <div className="device-text">
        <span className="device-name">
          {deviceName ?? 'Unknown device'}
          {current && <span className="badge badge-current">This device</span>}
        </span>
        <span className="muted">{current ? 'Active now' : `Active ${ago(lastActivityAt)}`}</span>
      </div>
    </>
  )
}

function DeviceIcon({ type }: { type?: string | null }) {
  return (
    <svg className="device-icon" viewBox="0 0 24 24" aria-hidden="true">
      {type === 'mobile' ? (
        <path d="M8 3h8a1 1 0 0 1 1 1v16a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zM11 18h2" />
      ) : (
        <path d="M4 5h16v11H4zM9 20h6M12 16v4" />
      )}
    </svg>
  )
}

function ago(time?: string | null) {
  const minutes = Math.floor((Date.now() - Date.parse(time ?? '')) / 60_000)
  if (!(minutes >= 1)) return 'just now'
  const format = new Intl.RelativeTimeFormat('en')
  if (minutes < 60) return format.format(-minutes, 'minute')
  if (minutes < 24 * 60) return format.format(-Math.floor(minutes / 60), 'hour')
  return format.format(-Math.floor(minutes / 60 / 24), 'day')
}
