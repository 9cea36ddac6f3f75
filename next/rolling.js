// Which requests keep a session alive, and what their responses need.

/** Whatever carries a session cookie must not be cached: a CDN would hand one user's cookie to another. */
const NOT_CACHEABLE = 'private, no-cache, no-store, max-age=0'

/**
 * Reads the session, and rolls it unless the request is a prefetch, which nobody asked for, or of a method that may change
 * something: an action sets cookies itself.
 *
 * @param {any} bridge
 * @param {Request} request
 */
async function readOrRoll(bridge, request) {
  const cookie = request.headers.get('cookie')
  if (mayRoll(request)) return bridge.refreshSession(cookie)
  return { session: await bridge.getSession(cookie), setCookie: [], cookieHeader: cookie ?? '' }
}

/**
 * Rolls the session if it is due. Else nothing is asked, for nobody looks at the session.
 *
 * @param {any} bridge
 * @param {Request} request
 */
function rollIfDue(bridge, request) {
  return bridge.refreshSession(request.headers.get('cookie'), undefined, 'only if due')
}

/** @param {Request} request */
function mayRoll({ method, headers }) {
  const isPrefetch = ['purpose', 'sec-purpose'].some((name) => /\bprefetch\b/i.test(headers.get(name) ?? ''))
  return (method === 'GET' || method === 'HEAD') && !isPrefetch
}

/** @param {Headers} headers of a response @param {string[]} lines */
function appendCookies(headers, lines) {
  if (lines.length === 0) return
  for (const line of lines) headers.append('Set-Cookie', line)
  headers.set('Cache-Control', NOT_CACHEABLE)
}

module.exports = { appendCookies, mayRoll, NOT_CACHEABLE, readOrRoll, rollIfDue }
