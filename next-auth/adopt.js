// Gives a row to a session from before the app had any.

const { createHmac } = require('node:crypto')

/**
 * The id of the session of a token. Requests that come at once hold the same token with the same `jti`, so they make one row. Nobody
 * without the secret can choose or guess it.
 *
 * @param {string} secret
 * @param {string} jti
 */
function adoptedId(secret, jti) {
  const bytes = createHmac('sha256', secret).update(`authjs-bridge: the session of ${jti}`).digest().subarray(0, 16)
  // Version 8 and its variant: RFC 9562 section 5.8.
  bytes[6] = (bytes[6] & 0x0f) | 0x80
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** @param {any} token @param {Date} until */
function isAdoptable({ iat, jti }, until) {
  return typeof iat === 'number' && iat * 1000 < until.getTime() && typeof jti === 'string'
}

module.exports = { adoptedId, isAdoptable }
