// Replaces this entry where no native module can be loaded: see `exports` in package.json.

const MESSAGE = `authjs-bridge/next-auth can't be used on the edge runtime or in a browser: it writes sessions to the database by a native module.
Call withSessions() in auth.ts, not in an auth.config.ts that is shared with a middleware on the edge runtime.
Or let the middleware run on Node.js. In middleware.ts of Next.js 15.5, write: export const config = { runtime: 'nodejs' }
From Next.js 16 on, rename it to proxy.ts instead.`

function throwUnsupported() {
  throw Object.assign(new Error(MESSAGE), { code: 'ERR_AUTH_BRIDGE_CONFIG' })
}

// With this assignment, bundlers can't know the exports beforehand, and don't report missing ones.
module.exports = throwUnsupported()
