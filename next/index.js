// CommonJS: Next.js doesn't bundle this package, and in Node.js only `require` resolves `next/headers` and `next/server`.

const authBridge = require('../index.js')
const { createAuth, setCookies } = require('./auth.js')
const { bridgeWith, configError, ofType, pathLike, pickOptions } = require('./options.js')
const { createProxy } = require('./proxy.js')
const { createRoute } = require('./route.js')

/** The options that are not those of `AuthBridge`. */
const OPTIONS = {
  bridge: bridgeWith(['getSession', 'getSessionJson', 'refreshSession', 'updateSession']),
  authorized: ofType('function'),
  signInPage: (/** @type {unknown} */ value) => (value === '/' ? undefined : pathLike('/signin')(value)),
  basePath: pathLike('/api/auth'),
}

/** @param {unknown} [options] */
function createSessions(options) {
  const own = pickOptions(options, OPTIONS)
  const bridge = bridgeOf(
    own.bridge,
    Object.entries(options ?? {}).filter(([name]) => !Object.hasOwn(OPTIONS, name)),
  )
  const { auth, update } = createAuth(bridge)
  return { auth, proxy: createProxy(bridge, own), route: createRoute(bridge), update, setCookies }
}

/** @param {object | undefined} given @param {[string, unknown][]} options those of `AuthBridge` */
function bridgeOf(given, options) {
  if (options.length === 0) return given ?? authBridge
  const [[name]] = options
  if (given) throw configError(name, 'is an option of the bridge, which is given; leave one of them out')
  // A bridge of one's own doesn't read the variable, and the session would be judged without its options.
  if (process.env.AUTH_BRIDGE_OPTIONS) {
    throw configError(
      name,
      'must stand in AUTH_BRIDGE_OPTIONS, which is set, or pass a bridge with all options as bridge',
    )
  }
  try {
    return new authBridge.AuthBridge(Object.fromEntries(options))
  } catch (error) {
    if (error.message.includes(': is not an option;')) error.message += `; and ${Object.keys(OPTIONS).join(', ')}`
    throw error
  }
}

const sessions = createSessions()

// One assignment per name, so that Node.js and bundlers detect the named exports.
module.exports.createSessions = createSessions
module.exports.auth = sessions.auth
module.exports.proxy = sessions.proxy
module.exports.route = sessions.route
module.exports.update = sessions.update
module.exports.setCookies = sessions.setCookies
