import { afterEach } from 'vitest'
import { AuthBridge, type AuthBridgeOptions } from '../../index.js'

export const SECRET = 'the secret of the test, 32 bytes'

/** Makes bridges that are closed at the end of their test. */
export function useBridges() {
  const open: AuthBridge[] = []
  afterEach(async () => {
    await Promise.all(open.splice(0).map((bridge) => bridge.close()))
  })
  return (databaseUrl: string, options: AuthBridgeOptions = {}) => {
    const bridge = new AuthBridge({ secret: SECRET, databaseUrl, ...options })
    open.push(bridge)
    return bridge
  }
}
