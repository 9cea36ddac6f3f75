// For `proxy.ts` of Next.js 16, and `middleware.ts` of 15.5 on Node.js. Nothing here runs in a page.

const { parseSetCookie } = require('./cookies.js')
const { logFailure } = require('./log.js')
const { nextServer } = require('./modules.js')
const { configError, typeOf } = require('./options.js')
const { isAtOrBelow, isPage, withoutHost } = require('./paths.js')
const { appendCookies, mayRoll, NOT_CACHEABLE, readOrRoll, rollIfDue } = require('./rolling.js')
const { sessionOrNull } = require('./session.js')

const DEFAULT_BASE_PATH = '/api/auth'
const RETRY_AFTER_SECONDS = '5'

/** @param {any} bridge @param {any} options */
function createProxy(bridge, { authorized, basePath = DEFAULT_BASE_PATH, signInPage = `${basePath}/signin` }) {
  /** @param {any} request */
  return async function proxy(request) {
    const { NextResponse } = nextServer()
    // Auth.js sets cookies there: a new one of ours would compete with those of a sign-in or a sign-out.
    if (isAtOrBelow(request.nextUrl.pathname, basePath)) return NextResponse.next()
    // Without `authorized` nobody looks at the session here.
    if (!authorized && !mayRoll(request)) return NextResponse.next()
    let read
    try {
      read = await (authorized ? readOrRoll(bridge, request) : rollIfDue(bridge, request))
    } catch (error) {
      logFailure(error)
      return authorized ? unavailable(NextResponse) : NextResponse.next()
    }
    if (read.setCookie.length > 0) setRequestCookies(request, read)
    const response = authorized ? await decide(sessionOrNull(read.session), request) : NextResponse.next()
    return read.setCookie.length > 0 ? withCookies(response, request, read.setCookie) : response
  }

  /** @param {any} session @param {any} request */
  async function decide(session, request) {
    const { NextResponse } = nextServer()
    const verdict = await authorized({ session, request })
    if (verdict instanceof NextResponse) return verdict
    if (verdict instanceof Response) return new NextResponse(verdict.body, verdict)
    if (verdict === true) return NextResponse.next()
    if (verdict !== false && verdict !== undefined) {
      throw configError('authorized', `must return true, false, undefined or a Response, not ${typeOf(verdict)}`)
    }
    if (isPage(request.nextUrl.pathname, signInPage)) return NextResponse.next()
    const url = request.nextUrl.clone()
    url.pathname = signInPage
    url.search = new URLSearchParams({ callbackUrl: withoutHost(request.nextUrl.href) }).toString()
    return NextResponse.redirect(url, request.method === 'GET' || request.method === 'HEAD' ? 307 : 303)
  }
}

/**
 * Gives the request the cookies that the browser is about to have.
 *
 * @param {any} request
 * @param {{ setCookie: string[], cookieHeader: string }} cookies
 */
function setRequestCookies(request, { setCookie, cookieHeader }) {
  for (const { name, value } of setCookie.flatMap((line) => parseSetCookie(line) ?? [])) {
    if (value === '') request.cookies.delete(name)
    else request.cookies.set(name, value)
  }
  // The above has written this header, too, but with one cookie of each name.
  if (cookieHeader === '') request.headers.delete('cookie')
  else request.headers.set('cookie', cookieHeader)
}

/**
 * Sends the lines to the browser, and the changed `Cookie` header to the page, if one is rendered for this request.
 *
 * @param {Response} response
 * @param {Request} request
 * @param {string[]} lines
 */
function withCookies(response, request, lines) {
  const { NextResponse } = nextServer()
  const sent = new NextResponse(response.body, response)
  appendCookies(sent.headers, lines)
  const goesOn = sent.headers.has('x-middleware-next') || sent.headers.has('x-middleware-rewrite')
  if (goesOn && !sent.headers.has('x-middleware-override-headers')) {
    const overriding = NextResponse.next({ request: { headers: new Headers(request.headers) } }).headers
    overriding.delete('x-middleware-next')
    for (const [name, value] of overriding) sent.headers.set(name, value)
  }
  return sent
}

/** @param {any} NextResponse */
function unavailable(NextResponse) {
  const headers = { 'Retry-After': RETRY_AFTER_SECONDS, 'Cache-Control': NOT_CACHEABLE }
  return new NextResponse('Your session can’t be checked right now. Try again in a few seconds.', {
    status: 503,
    headers,
  })
}

module.exports = { createProxy }
