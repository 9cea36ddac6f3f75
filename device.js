// Which device a `User-Agent` header is of, for people who look at a list of their sessions.

/** Longer ones are not of browsers. In characters. */
const MAX_LENGTH = 1024
const UNKNOWN = {}

/**
 * @param {unknown} userAgent
 * @returns {{ deviceName?: string, deviceType?: string }} `Chrome on macOS`; `desktop`, `mobile`, `tablet`, ...
 */
function deviceOf(userAgent) {
  if (typeof userAgent !== 'string' || userAgent === '') return UNKNOWN
  const { browser, os, platform } = require('bowser').parse(userAgent.slice(0, MAX_LENGTH))
  const names = [browser.name, os.name].filter(Boolean)
  return {
    ...(names.length > 0 && { deviceName: names.join(' on ') }),
    ...(platform.type && { deviceType: platform.type }),
  }
}

module.exports = { deviceOf }
