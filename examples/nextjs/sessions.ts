import { AuthBridge } from 'authjs-bridge'
import { createSessions } from 'authjs-bridge/next'
import { ABSOLUTE_SESSION_SECONDS, SESSION_SECONDS } from '@/lib/lifetime'

export const bridge = new AuthBridge({
  maxAge: SESSION_SECONDS,
  absoluteMaxAge: ABSOLUTE_SESSION_SECONDS,
  // Read from the database at each call, in the same query. So a new plan counts at once, without a new sign-in.
  tables: { users: 'session_users' },
  freshClaims: ['plan', 'addons'],
})

export const { auth, proxy, route, update } = createSessions({ bridge })
