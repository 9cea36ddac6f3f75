// The request that Auth.js handles: its callbacks don't get it.

const { isIP } = require('node:net')
const { setCookies } = require('../next/auth.js')
const { nextHeaders } = require('../next/modules.js')
const { configError } = require('../next/options.js')

/**
 * @param {any} req the request, where Auth.js or the app gives it
 * @returns {Promise<Headers | undefined>} undefined outside a request of the App Router
 */
async function requestHeaders(req) {
  if (req) return new Headers(req.headers)
  try {
    return await nextHeaders().headers()
  } catch {
    return undefined
  }
}

/**
 * The headers at a sign-in, which says whose sessions end with it.
 *
 * @param {any} req
 */
async function signInHeaders(req) {
  const headers = await requestHeaders(req)
  if (headers) return headers
  throw configError(
    'req',
    'is missing: in the Pages Router, write NextAuth(req, res, withSessions(config, { req, res }))',
  )
}

let isWarned = false

/**
 * Warns once if browsers drop the cookie of a sign-in. Auth.js finds out by each request whether it came by https; without a variable
 * for the address of the app, the bridge expects https in production. Next.js fills in the header where no proxy sets it.
 *
 * @param {Headers} headers
 * @param {{ secure: boolean }} cookie
 */
function warnOverHttp(headers, { secure }) {
  if (isWarned || !secure || headers.get('x-forwarded-proto') !== 'http') return
  if (process.env.AUTH_URL || process.env.NEXTAUTH_URL) return
  isWarned = true
  const problem = 'a sign-in came over http, where browsers drop its cookie, which is for https'
  process.emitWarning(`${problem}; set AUTH_URL to the address that browsers use`, {
    type: 'AuthBridgeWarning',
    code: 'AUTH_BRIDGE_HTTP_SIGN_IN',
  })
}

/**
 * What is recorded about the device.
 *
 * @param {Headers | undefined} headers
 * @param {string | undefined} trustedProxyHeader
 */
function describeClient(headers, trustedProxyHeader) {
  const userAgent = headers?.get('user-agent')
  // The last address is the one that the proxy has seen itself.
  const ipAddress = trustedProxyHeader && headers?.get(trustedProxyHeader)?.split(',').at(-1)?.trim()
  return { ...(userAgent && { userAgent }), ...(ipAddress && isIP(ipAddress) && { ipAddress }) }
}

/**
 * Sends `Set-Cookie` lines to the browser.
 *
 * @param {string[]} lines
 * @param {any} res the response of the Pages Router
 */
async function sendCookies(lines, res) {
  if (lines.length === 0) return
  if (!res) return setCookies(lines)
  for (const line of lines) res.appendHeader('Set-Cookie', line)
}

module.exports = { describeClient, requestHeaders, sendCookies, signInHeaders, warnOverHttp }
