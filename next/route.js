// The endpoint: `app/api/auth/session/route.ts`.

const { logFailure } = require('./log.js')
const { oneOf, ofType, parseOptions } = require('./options.js')
const { appendCookies, readOrRoll } = require('./rolling.js')

const HEADERS = {
  'Content-Type': 'application/json',
  'Cache-Control': 'private, no-cache, no-store',
  Expires: '0',
  Pragma: 'no-cache',
}

const OPTIONS = { rolling: ofType('boolean'), unauthenticated: oneOf(['empty', 'null']) }

/** @param {any} bridge */
function createRoute(bridge) {
  /** @param {unknown} [options] */
  return function route(options) {
    const { rolling = false, unauthenticated = 'empty' } = parseOptions(options, OPTIONS)
    const read = rolling ? roll : readOnly

    /** @param {Request} request */
    async function GET(request) {
      // Outside `try`: while Next.js prerenders, this may throw an error that Next.js itself has to catch.
      request.headers.get('cookie')
      try {
        const { body, setCookie } = await read(bridge, request)
        const response = new Response(unauthenticated === 'null' && body === '{}' ? 'null' : body, { headers: HEADERS })
        appendCookies(response.headers, setCookie)
        return response
      } catch (error) {
        logFailure(error)
        return new Response('{"error":"failed_to_get_session"}', { status: 500, headers: HEADERS })
      }
    }
    return { GET }
  }
}

/** @param {any} bridge @param {Request} request */
async function readOnly(bridge, request) {
  return { body: await bridge.getSessionJson(request.headers.get('cookie')), setCookie: [] }
}

/** @param {any} bridge @param {Request} request */
async function roll(bridge, request) {
  const { session, setCookie } = await readOrRoll(bridge, request)
  return { body: JSON.stringify(session), setCookie }
}

module.exports = { createRoute }
