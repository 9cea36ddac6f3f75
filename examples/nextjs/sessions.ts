import { createSessions } from 'authjs-bridge/next'
import { ABSOLUTE_SESSION_SECONDS, SESSION_SECONDS } from '@/lib/lifetime'

export const { auth, proxy, route, update } = createSessions({
  maxAge: SESSION_SECONDS,
  absoluteMaxAge: ABSOLUTE_SESSION_SECONDS,
})
