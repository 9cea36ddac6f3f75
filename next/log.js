/**
 * Logs only messages of our own errors: they contain nothing of the request.
 *
 * @param {any} error
 * @param {string} [task] what failed
 */
function logFailure(error, task = 'get the session') {
  const isOurs = typeof error?.code === 'string' && error.code.startsWith('ERR_AUTH_BRIDGE_')
  const cause = isOurs ? `${error.code}: ${error.message}` : 'unknown error'
  console.error(`authjs-bridge: failed to ${task}: ${cause}`)
}

module.exports = { logFailure }
