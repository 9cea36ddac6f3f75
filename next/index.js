// CommonJS: Next.js doesn't bundle this package, and in Node.js only `require` resolves `next/headers`.

const authBridge = require('../index.js')
const { parseOptions } = require('./options.js')

const HEADERS = {
  'Content-Type': 'application/json',
  'Cache-Control': 'private, no-cache, no-store',
  Expires: '0',
  Pragma: 'no-cache',
}

function createSessionRoute(options) {
  const { bridge = authBridge, unauthenticated = 'empty' } = parseOptions(options, {
    bridge: 'getSessionJson',
    unauthenticated: ['empty', 'null'],
  })

  async function GET(request) {
    // Outside `try`: while Next.js prerenders, this may throw an error that Next.js itself has to catch.
    const cookie = request.headers.get('cookie')
    try {
      const body = await bridge.getSessionJson(cookie)
      return new Response(unauthenticated === 'null' && body === '{}' ? 'null' : body, { headers: HEADERS })
    } catch (error) {
      console.error(`authjs-bridge: failed to get the session: ${describeError(error)}`)
      return new Response('{"error":"failed_to_get_session"}', { status: 500, headers: HEADERS })
    }
  }
  return { GET }
}

function createAuth(options) {
  const { bridge = authBridge } = parseOptions(options, { bridge: 'getSession' })
  const sessionByRender = new WeakMap()

  async function readSession(cookie) {
    const session = await bridge.getSession(cookie)
    return Object.hasOwn(session, 'user') ? session : null
  }

  return async function auth() {
    const { headers } = require('next/headers')
    const cookie = (await headers()).get('cookie')
    const render = currentRender()
    if (!render) return readSession(cookie)
    const cached = sessionByRender.get(render)
    if (cached) return cached
    const session = readSession(cookie)
    sessionByRender.set(render, session)
    return session
  }
}

/**
 * An object that identifies the render of one request; undefined outside a render. It replaces React's `cache`, which has
 * the same lifetime: the `react` that Node.js resolves has a `cache` that caches nothing, since the one that renders is
 * compiled into Next.js. Server actions and route handlers are not renders: they may revoke a session, and the next call
 * must query the database again.
 */
function currentRender() {
  const store = requestStorage()?.getStore()
  return store?.type === 'request' && store.phase === 'render' ? store : undefined
}

/** Internal to Next.js, from version 15 on. Without it every call queries the database, which is correct but slower. */
function requestStorage() {
  try {
    return require('next/dist/server/app-render/work-unit-async-storage.external').workUnitAsyncStorage
  } catch {
    return undefined
  }
}

/** Logs only messages of our own errors: they contain nothing of the request. */
function describeError(error) {
  const code = error?.code
  return typeof code === 'string' && code.startsWith('ERR_AUTH_BRIDGE_') ? `${code}: ${error.message}` : 'unknown error'
}

module.exports.createSessionRoute = createSessionRoute
module.exports.createAuth = createAuth
module.exports.auth = createAuth()
