// Stands for this package where no native module can be loaded: see `exports` in package.json.

const MESSAGE = `authjs-bridge is a native module, which neither the edge runtime nor a browser can load.
In a route, page or layout say: export const runtime = 'nodejs'
In middleware.ts say: export const config = { runtime: 'nodejs' }, or rename it to proxy.ts from Next.js 16 on.
In a client component import nothing from here but types.`

function refuse() {
  throw Object.assign(new Error(MESSAGE), { code: 'ERR_AUTH_BRIDGE_CONFIG' })
}

// An assignment, by which bundlers see that the exports are not known before; else they complain of missing ones.
module.exports = refuse()
