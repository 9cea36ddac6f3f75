import { getSession } from 'authjs-bridge'
import { createAuth } from 'authjs-bridge/next'

/** How often the bridge was asked. */
export const asks = { count: 0 }

export const countedAuth = createAuth({
  bridge: {
    getSession(cookieHeader) {
      asks.count++
      return getSession(cookieHeader)
    },
  },
})
