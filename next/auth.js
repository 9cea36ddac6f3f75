// For server components, server actions and route handlers, where `next/headers` knows the request.

const { changesCookies, overlay, parseSetCookie } = require('./cookies.js')
const { nextHeaders, requestStorage } = require('./modules.js')
const { sessionOrNull } = require('./session.js')

/** @param {any} bridge */
function createAuth(bridge) {
  const queryByRender = new WeakMap()

  async function auth() {
    const cookie = await cookieHeader()
    const render = currentRender()
    if (!render) return readSession(cookie)
    const shared = queryByRender.get(render)
    if (shared?.cookie === cookie) return shared.session
    const session = readSession(cookie)
    queryByRender.set(render, { cookie, session })
    return session
  }

  /** @param {string} cookie */
  async function readSession(cookie) {
    return sessionOrNull(await bridge.getSession(cookie))
  }

  /** @param {unknown} claims */
  async function update(claims) {
    const { session, setCookie } = await bridge.updateSession(await cookieHeader(), claims)
    await setCookies(setCookie)
    return sessionOrNull(session)
  }

  return { auth, update }
}

/** @param {string[]} lines */
async function setCookies(lines) {
  const cookies = parseLines(lines)
  const jar = await nextHeaders().cookies()
  for (const { name, value, options } of cookies) {
    // To set a cookie in an action empties the router cache, even if it is the same.
    if (changesCookies(await cookieHeader(), { name, value })) jar.set(name, value, options)
  }
}

/** @param {unknown} lines */
function parseLines(lines) {
  if (!Array.isArray(lines)) throw argumentError('must be an array of strings')
  return lines.map((line, index) => {
    const cookie = typeof line === 'string' ? parseSetCookie(line) : undefined
    if (!cookie) throw argumentError(`must be an array of values of Set-Cookie; the one at ${index} has no name`)
    return cookie
  })
}

/** @param {string} problem */
function argumentError(problem) {
  return Object.assign(new Error(`lines: ${problem}`), { code: 'ERR_AUTH_BRIDGE_ARGUMENT' })
}

/** The request's `Cookie` header with what has changed since: an action changes `cookies()`, but not `headers()`. */
async function cookieHeader() {
  const { cookies, headers } = nextHeaders()
  const [received, jar] = await Promise.all([headers(), cookies()])
  return overlay(received.get('cookie') ?? '', jar.getAll())
}

/**
 * An object that identifies the render of one request; undefined outside a render. It replaces React's `cache`, which has
 * the same lifetime: the `react` that Node.js resolves has a `cache` that caches nothing, since the one that renders is
 * compiled into Next.js. Server actions and route handlers are not renders: they may revoke a session, and the next call
 * must query the database again. Without this storage every call queries the database, which is correct but slower.
 */
function currentRender() {
  const store = requestStorage()?.getStore()
  return store?.type === 'request' && store.phase === 'render' ? store : undefined
}

module.exports = { createAuth, setCookies }
