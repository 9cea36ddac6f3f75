import { getSession } from 'authjs-bridge'
import { createAuth } from 'authjs-bridge/next'

/** The number of calls of the bridge. */
export const asks = { count: 0 }

export const countedAuth = createAuth({
  bridge: {
    getSession(cookieHeader) {
      asks.count++
      return getSession(cookieHeader)
    },
  },
})
