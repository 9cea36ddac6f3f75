// The entry point of `authjs-bridge`.

const { deviceOf } = require('./device.js')
const binding = require('./native.js').loadNative()

/**
 * If no cookie changes, the native part resolves to the session alone: so the header, which is long, is not copied. It resolves to
 * null if it was only to read the session, and there is none: then cookies may have to be deleted, so the call is repeated.
 *
 * @param {(cookieHeader: unknown, options: unknown, attempt?: true | 'only if due') => Promise<any>} refresh
 * @param {string | null | undefined} cookieHeader
 * @param {unknown} options
 * @param {'only if due'} [attempt] for `next/proxy.js`: where nothing is due, nothing is asked, and the session is `{}`
 */
async function refreshed(refresh, cookieHeader, options, attempt) {
  const result = (await refresh(cookieHeader, options, attempt)) ?? (await refresh(cookieHeader, options, true))
  return Object.hasOwn(result, 'setCookie')
    ? result
    : { session: result, setCookie: [], cookieHeader: cookieHeader ?? '' }
}

const { createSession, refreshSession } = binding.AuthBridge.prototype
binding.AuthBridge.prototype.refreshSession = function (cookieHeader, options, attempt) {
  return refreshed(refreshSession.bind(this), cookieHeader, options, attempt)
}
// Asynchronous, so that it rejects with what a getter of the app throws.
binding.AuthBridge.prototype.createSession = async function (options) {
  return createSession.call(this, options, deviceOf(options?.userAgent))
}

/**
 * A function of the module that is a method of its bridge.
 *
 * @param {string} method
 */
function ofDefaultBridge(method) {
  return (/** @type {unknown[]} */ ...args) => binding.defaultBridge()[method](...args)
}

// One assignment per name, so that Node.js and bundlers detect the named exports.
module.exports.AuthBridge = binding.AuthBridge
module.exports.defaultBridge = binding.defaultBridge
module.exports.explainSession = binding.explainSession
module.exports.getSession = binding.getSession
module.exports.getSessionJson = binding.getSessionJson
module.exports.refreshSession = (cookieHeader, options, attempt) =>
  refreshed(binding.refreshSession, cookieHeader, options, attempt)
module.exports.updateSession = binding.updateSession
module.exports.createSession = ofDefaultBridge('createSession')
module.exports.listSessions = ofDefaultBridge('listSessions')
module.exports.revokeSession = ofDefaultBridge('revokeSession')
module.exports.revokeOtherSessions = ofDefaultBridge('revokeOtherSessions')
module.exports.revokeSessions = ofDefaultBridge('revokeSessions')
module.exports.revokeTenantSessions = ofDefaultBridge('revokeTenantSessions')
module.exports.deleteEndedSessions = ofDefaultBridge('deleteEndedSessions')
module.exports.sealSession = ofDefaultBridge('sealSession')
module.exports.versions = binding.versions
