// Replaces this package where no native module can be loaded: see `exports` in package.json.

const MESSAGE = `authjs-bridge is a native module, which neither the edge runtime nor a browser can load.
In a route, page or layout, write: export const runtime = 'nodejs'
In middleware.ts of Next.js 15.5, write: export const config = { runtime: 'nodejs' }, and no export ... from, with which Turbopack ignores it;
from 16 on, rename it to proxy.ts instead.
In a client component, import only types from this package.
In tests with Jest's jsdom, set: testEnvironmentOptions: { customExportConditions: ['node'] }`

function throwUnsupported() {
  throw Object.assign(new Error(MESSAGE), { code: 'ERR_AUTH_BRIDGE_CONFIG' })
}

// With this assignment, bundlers can't know the exports beforehand, and don't report missing ones.
module.exports = throwUnsupported()
