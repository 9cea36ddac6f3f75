import { createSessions } from 'authjs-bridge/next'
import { SESSION_SECONDS } from '@/lib/lifetime'

export const { auth, proxy, route, update } = createSessions({ maxAge: SESSION_SECONDS })
