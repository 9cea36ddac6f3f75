// Stands for this package where no native module can be loaded: `exports` in package.json.

throw Object.assign(
  new Error(
    "authjs-bridge is a native module, which neither the edge runtime nor a browser can load. In a route, page or layout: export const runtime = 'nodejs'. From a client component: import it in server code only.",
  ),
  { code: 'ERR_AUTH_BRIDGE_CONFIG' },
)
