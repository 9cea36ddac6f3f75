// The cookies of one request, as text: the `Cookie` header, what `cookies()` of Next.js has changed in it, `Set-Cookie` lines.

/** @typedef {{ name: string, value: string | undefined, text: string }} Pair `value` is undefined if it can't be decoded */
/** @typedef {{ name: string, value: string }} Cookie */

/**
 * The header of a request as it is with the cookies that `cookies()` has by now. Cookies that have not changed stay as the browser
 * sent them, since `cookies()` knows only one of each name.
 *
 * @param {string} header
 * @param {Cookie[]} jar all cookies of `cookies()`; a deleted one has an empty value
 */
function overlay(header, jar) {
  const received = readPairs(header)
  const before = new Map(received.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])))
  const changed = new Map(jar.flatMap(({ name, value }) => (before.get(name) === value ? [] : [[name, value]])))
  if (changed.size === 0) return header
  const kept = received.flatMap(({ name, text }) => (changed.has(name) ? [] : [text]))
  const set = [...changed].flatMap(([name, value]) => (value === '' ? [] : [`${name}=${encodeURIComponent(value)}`]))
  return [...kept, ...set].join('; ')
}

/**
 * Whether a browser that has the cookies of this header changes anything by this one. An empty value deletes.
 *
 * @param {string} header
 * @param {Cookie} cookie
 */
function changesCookies(header, { name, value }) {
  const held = readPairs(header).filter((pair) => pair.name === name)
  if (value === '') return held.some((pair) => pair.value !== '')
  return held.length === 0 || held.some((pair) => pair.value !== value)
}

/**
 * Splits a header as Next.js does (`parseCookie` of `@edge-runtime/cookies`).
 *
 * @param {string} header
 * @returns {Pair[]}
 */
function readPairs(header) {
  return header.split(/; */).flatMap((text) => {
    if (text === '') return []
    const equals = text.indexOf('=')
    if (equals === -1) return { name: text, value: 'true', text }
    return { name: text.slice(0, equals), value: decode(text.slice(equals + 1)), text }
  })
}

/**
 * Reads the value of a `Set-Cookie` header into what `cookies().set()` takes; undefined if it has no name.
 *
 * @param {string} line
 */
function parseSetCookie(line) {
  const [pair, ...attributes] = line.split(';').map((part) => part.trim())
  const equals = pair.indexOf('=')
  if (equals < 1) return undefined
  const value = pair.slice(equals + 1)
  const options = Object.assign({}, ...attributes.map(readAttribute))
  // Next.js loses a `Max-Age` of 0 where it reads the cookie again.
  if (options.maxAge <= 0) options.expires = new Date(0)
  return { name: pair.slice(0, equals), value: decode(value) ?? value, options }
}

/** @param {string} attribute */
function readAttribute(attribute) {
  const [name, value = ''] = attribute.split(/=(.*)/s)
  switch (name.toLowerCase()) {
    case 'domain':
      return { domain: value }
    case 'path':
      return { path: value }
    case 'expires':
      return { expires: new Date(value) }
    case 'max-age':
      return { maxAge: Number(value) }
    case 'httponly':
      return { httpOnly: true }
    case 'secure':
      return { secure: true }
    case 'partitioned':
      return { partitioned: true }
    case 'samesite':
      return { sameSite: value.toLowerCase() }
    default:
      return {}
  }
}

/** @param {string} value @returns {string | undefined} */
function decode(value) {
  try {
    return decodeURIComponent(value)
  } catch {
    return undefined
  }
}

module.exports = { changesCookies, overlay, parseSetCookie }
