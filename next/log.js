/**
 * Logs only messages of our own errors: they contain nothing of the request.
 *
 * @param {any} error
 */
function logFailure(error) {
  const isOurs = typeof error?.code === 'string' && error.code.startsWith('ERR_AUTH_BRIDGE_')
  const cause = isOurs ? `${error.code}: ${error.message}` : 'unknown error'
  console.error(`authjs-bridge: failed to get the session: ${cause}`)
}

module.exports = { logFailure }
