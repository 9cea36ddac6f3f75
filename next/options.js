// Validates options as `new AuthBridge(options)` does: an unknown option or a wrong value throws an error that names it.

/** @typedef {(value: any) => string | undefined} Check what is wrong with a value: ends a sentence that begins with its name */

/**
 * @param {unknown} options
 * @param {Record<string, Check>} known the check of each option
 */
function parseOptions(options, known) {
  for (const name of Object.keys(givenOptions(options))) {
    if (!Object.hasOwn(known, name)) {
      throw configError(name, `is not an option; the options are ${Object.keys(known).join(' and ')}`)
    }
  }
  return pickOptions(options, known)
}

/**
 * The given options that are known, without a prototype.
 *
 * @param {unknown} options
 * @param {Record<string, Check>} known
 */
function pickOptions(options, known) {
  const picked = Object.create(null)
  for (const [name, value] of Object.entries(givenOptions(options))) {
    if (!Object.hasOwn(known, name)) continue
    if (value === undefined) throw configError(name, 'is undefined; give it a value, or leave it out')
    const problem = known[name](value)
    if (problem) throw configError(name, problem)
    picked[name] = value
  }
  return picked
}

/** @param {unknown} options */
function givenOptions(options = {}) {
  if (typeof options !== 'object' || options === null) {
    throw configError('options', `must be an object, not ${typeOf(options)}`)
  }
  return options
}

/** @param {string[]} methods @returns {Check} */
function bridgeWith(methods) {
  const isBridge = (/** @type {any} */ value) => methods.every((method) => typeof value?.[method] === 'function')
  return (value) => (isBridge(value) ? undefined : `must be an AuthBridge, not ${typeOf(value)}`)
}

/** @param {string} type @returns {Check} */
function ofType(type) {
  return (value) => (typeof value === type ? undefined : `must be a ${type}, not ${typeOf(value)}`)
}

/** @param {string[]} values @returns {Check} */
function oneOf(values) {
  const all = values.map((value) => `"${value}"`).join(' or ')
  return (value) => (values.includes(value) ? undefined : `must be ${all}`)
}

/**
 * A path without a host, a query or a slash at its end.
 *
 * @param {string} example
 * @returns {Check}
 */
function pathLike(example) {
  return (value) => {
    const isPath = typeof value === 'string' && /^(\/[^/\\?#\s]+)+$/.test(value)
    return isPath ? undefined : `must be a path such as ${example}`
  }
}

/** @param {string} name @param {string} problem */
function configError(name, problem) {
  return Object.assign(new Error(`${name}: ${problem}`), { code: 'ERR_AUTH_BRIDGE_CONFIG' })
}

/** @param {unknown} value */
function typeOf(value) {
  return value === null ? 'null' : typeof value
}

module.exports = { bridgeWith, configError, oneOf, ofType, parseOptions, pathLike, pickOptions, typeOf }
