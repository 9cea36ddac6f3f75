// CommonJS, since Next.js leaves this package to Node.js, where only `require` finds `next/headers`.

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
    // Not within `try`: where Next.js prerenders, this may throw what only Next.js may catch.
    const cookie = request.headers.get('cookie')
    try {
      const body = await bridge.getSessionJson(cookie)
      return new Response(unauthenticated === 'null' && body === '{}' ? 'null' : body, { headers: HEADERS })
    } catch (error) {
      console.error(`authjs-bridge: failed to get the session: ${cause(error)}`)
      return new Response('{"error":"failed_to_get_session"}', { status: 500, headers: HEADERS })
    }
  }
  return { GET }
}

function createAuth(options) {
  const { bridge = authBridge } = parseOptions(options, { bridge: 'getSession' })
  const sessions = new WeakMap()

  async function ask(cookie) {
    const session = await bridge.getSession(cookie)
    return Object.hasOwn(session, 'user') ? session : null
  }

  return async function auth() {
    const { headers } = require('next/headers')
    const cookie = (await headers()).get('cookie')
    const render = currentRender()
    if (!render) return ask(cookie)
    const known = sessions.get(render)
    if (known) return known
    const session = ask(cookie)
    sessions.set(render, session)
    return session
  }
}

/**
 * The object that stands for the render of one request, which is what React's `cache` keeps its values for. The `react`
 * that Node.js finds has only a `cache` that keeps nothing; the one that renders is compiled into Next.js. Actions and
 * route handlers are no renders: they may revoke a session, and a call after that must ask anew.
 */
function currentRender() {
  const store = requestStorage()?.getStore()
  return store?.type === 'request' && store.phase === 'render' ? store : undefined
}

/** Internal to Next.js, from version 15 on. Without it each call asks, which is slower and as right. */
function requestStorage() {
  try {
    return require('next/dist/server/app-render/work-unit-async-storage.external').workUnitAsyncStorage
  } catch {
    return undefined
  }
}

/** What may be logged: messages with a code of ours hold nothing of the request. */
function cause(error) {
  const code = error?.code
  return typeof code === 'string' && code.startsWith('ERR_AUTH_BRIDGE_') ? `${code}: ${error.message}` : 'unknown error'
}

module.exports.createSessionRoute = createSessionRoute
module.exports.createAuth = createAuth
module.exports.auth = createAuth()
