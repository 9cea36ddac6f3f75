// Configures next-auth 5 or 4 so that each of its sessions has a row: it starts one at a sign-in, and ends it at a sign-out.
// CommonJS, for the same reasons as `next/index.js`.

const { randomUUID } = require('node:crypto')
const authBridge = require('../index.js')
const { bridgeWith, configError, ofType, oneOf, parseOptions, typeOf } = require('../next/options.js')
const { createCallbacks } = require('./callbacks.js')
const { refuseConflicts, settingsOf } = require('./settings.js')

/** Never used. */
const NO_SECRET = randomUUID()

const OPTIONS = {
  bridge: bridgeWith(['createSession', 'issuerOptions']),
  identify: ofType('function'),
  adopt: (/** @type {any} */ value) => {
    const isTime = value?.until instanceof Date && !Number.isNaN(value.until.getTime())
    return isTime && Object.keys(value).length === 1 ? undefined : 'must be an object with the key until, a valid Date'
  },
  maxSessions: (/** @type {unknown} */ value) =>
    Number.isSafeInteger(value) && Number(value) >= 1 ? undefined : 'must be a whole number from 1 on',
  whenFull: oneOf(['revoke-oldest', 'refuse']),
  trustedProxyHeader: (/** @type {any} */ value) =>
    typeof value === 'string' && /^[\w-]+$/.test(value) ? undefined : 'must be the name of a header, such as x-real-ip',
  req: (/** @type {any} */ value) => (value?.headers ? undefined : 'must be the request that the API route got'),
  res: (/** @type {any} */ value) =>
    typeof value?.appendHeader === 'function' ? undefined : 'must be the response that the API route got',
}

/** @param {any} config @param {any} [options] */
function withSessions(config, options) {
  const own = parseOptions(options, OPTIONS)
  if (Boolean(own.req) !== Boolean(own.res)) {
    throw configError(own.req ? 'res' : 'req', 'is missing: an API route gives both')
  }
  if (own.whenFull && !own.maxSessions) throw configError('whenFull', 'needs maxSessions')
  if (typeof config === 'function') {
    return async (/** @type {any} */ request) => {
      const made = await config(request)
      return configure(made, request ? { ...own, req: request } : own)
    }
  }
  return configure(config, own)
}

/** @param {any} config @param {any} own */
function configure(config, own) {
  if (typeof config !== 'object' || config === null) {
    throw configError('config', `must be the configuration of NextAuth, not ${typeOf(config)}`)
  }
  refuseConflicts(config)
  const bridge = own.bridge ?? authBridge.defaultBridge()
  const settings = () => settingsOf(config, bridge.issuerOptions())
  refuseAtOnce(settings, bridge)
  const configured = { ...config, ...createCallbacks(config, { ...own, bridge, settings }) }
  // Read when they are needed: `next build` imports the app's modules where there may be neither a secret nor a database.
  for (const name of ['secret', 'session', 'jwt', 'cookies']) {
    Object.defineProperty(configured, name, { enumerable: true, get: () => settingsOrRefusal(config, settings)[name] })
  }
  return configured
}

/** Throws for a contradiction, if the configuration of the bridge is complete. @param {() => unknown} settings @param {any} bridge */
function refuseAtOnce(settings, bridge) {
  try {
    bridge.issuerOptions()
  } catch {
    return
  }
  settings()
}

/**
 * If there are no settings, the error is thrown where Auth.js begins to handle a request, which looks at `cookies.callbackUrl` first. Before
 * that, next-auth 5 looks for a secret as the module is imported, and next-auth 4 copies the configuration while `next build` finds
 * out which pages depend on the request.
 *
 * @param {any} config
 * @param {() => any} settings
 */
function settingsOrRefusal(config, settings) {
  try {
    return settings()
  } catch (error) {
    const refusal = {
      enumerable: true,
      get() {
        throw error
      },
    }
    const cookies = Object.defineProperties({}, { callbackUrl: refusal, sessionToken: refusal })
    return { secret: NO_SECRET, session: config.session, jwt: config.jwt, cookies }
  }
}

// One assignment per name, so that Node.js and bundlers detect the named exports.
module.exports.withSessions = withSessions
