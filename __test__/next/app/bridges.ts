import { AuthBridge, defaultBridge } from 'authjs-bridge'

// `next build` imports this module without a database or a secret.
export const bridge = new AuthBridge({ cookieName: ['authjs.session-token'] })
export const bridgeOfModule = defaultBridge()
