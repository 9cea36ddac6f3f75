// Validates options as `new AuthBridge(options)` does: an unknown option or a wrong value throws an error that names it.

/**
 * @param {unknown} options
 * @param {Record<string, string | string[]>} known what each option must be: an object with this method, or one of these
 *   values
 */
function parseOptions(options = {}, known) {
  if (typeof options !== 'object' || options === null) {
    throw configError('options', `must be an object, not ${typeOf(options)}`)
  }
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(known, name)) {
      throw configError(name, `is not an option; the options are ${Object.keys(known).join(' and ')}`)
    }
    if (value === undefined) throw configError(name, 'is undefined; give it a value, or leave it out')
    assertValid(name, value, known[name])
  }
  return Object.assign(Object.create(null), options)
}

function assertValid(name, value, expected) {
  if (Array.isArray(expected)) {
    const values = expected.map((value) => `"${value}"`).join(' or ')
    if (!expected.includes(value)) throw configError(name, `must be ${values}`)
  } else if (typeof value?.[expected] !== 'function') {
    throw configError(name, `must be an AuthBridge, not ${typeOf(value)}`)
  }
}

function configError(name, problem) {
  return Object.assign(new Error(`${name}: ${problem}`), { code: 'ERR_AUTH_BRIDGE_CONFIG' })
}

function typeOf(value) {
  return value === null ? 'null' : typeof value
}

module.exports = { parseOptions }
