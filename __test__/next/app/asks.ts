import { getSession, getSessionJson, refreshSession, updateSession } from 'authjs-bridge'
import { createSessions } from 'authjs-bridge/next'

/** The number of calls of the bridge. */
export const asks = { count: 0 }

export const countedAuth = createSessions({
  bridge: {
    getSessionJson,
    refreshSession,
    updateSession,
    getSession(cookieHeader) {
      asks.count++
      return getSession(cookieHeader)
    },
  },
}).auth
