import { AuthBridge } from 'authjs-bridge'
import { createSessions } from 'authjs-bridge/next'
import { ABSOLUTE_SESSION_SECONDS, SESSION_SECONDS } from '@/lib/lifetime'

export const bridge = new AuthBridge({ maxAge: SESSION_SECONDS, absoluteMaxAge: ABSOLUTE_SESSION_SECONDS })

export const { auth, proxy, route, update } = createSessions({ bridge })
