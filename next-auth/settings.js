// What Auth.js and the bridge must agree on. The bridge's options are the source.

const { configError } = require('../next/options.js')

/** As Auth.js has it: 30 days. */
const DEFAULT_MAX_AGE = 30 * 24 * 60 * 60

/**
 * Throws if the configuration can't be used, whatever the options of the bridge are.
 *
 * @param {any} config
 */
function refuseConflicts({ session, jwt }) {
  if (session?.strategy !== undefined && session.strategy !== 'jwt') {
    throw configError(
      'session.strategy',
      `must be "jwt": the session is in the cookie, and its row says whether it lives`,
    )
  }
  for (const name of ['encode', 'decode']) {
    if (jwt?.[name])
      throw configError(`jwt.${name}`, 'must be left out: the bridge reads the tokens that Auth.js makes')
  }
}

/**
 * The settings that Auth.js gets: `secret`, `session`, `jwt` and `cookies`.
 *
 * @param {any} config
 * @param {any} issuer what `issuerOptions()` of the bridge returned
 */
function settingsOf(config, { issuer, secrets, maxAge: bridgeMaxAge, cookie }) {
  refuseOtherNextAuth(issuer)
  for (const [name, given] of [
    ['secret', config.secret],
    ['jwt.secret', config.jwt?.secret],
  ]) {
    // It names none: this is shown.
    const list = [given ?? []].flat()
    const isKnown = list.length === 0 || (list[0] === secrets[0] && list.every((secret) => secrets.includes(secret)))
    if (!isKnown) throw configError(name, 'is not that of the bridge; leave it out, or give it to the bridge as well')
  }
  const { maxAge: given, ...session } = config.session ?? {}
  agree('session.maxAge', given, bridgeMaxAge ?? given, 'the option maxAge of the bridge')
  const maxAge = bridgeMaxAge ?? given ?? DEFAULT_MAX_AGE
  agree('jwt.maxAge', config.jwt?.maxAge, maxAge, 'the age of the session')
  const { name, options = {} } = config.cookies?.sessionToken ?? {}
  agree('cookies.sessionToken.name', name, cookie.name, 'the cookie of the bridge')
  for (const [key, value] of Object.entries(options)) {
    const isOff = value === false && cookie.options[key] === undefined
    if (!isOff)
      agree(`cookies.sessionToken.options.${key}`, value, cookie.options[key], 'the option cookie of the bridge')
  }
  return {
    // next-auth 4 takes only one.
    secret: issuer === 'next-auth-v4' || secrets.length === 1 ? secrets[0] : secrets,
    session: { ...session, strategy: 'jwt', maxAge },
    // next-auth 4 doesn't derive it from the session.
    jwt: { ...config.jwt, maxAge },
    cookies: { ...config.cookies, sessionToken: cookie },
    isVersion4: issuer === 'next-auth-v4',
    maxAge,
  }
}

/** @param {string} name @param {unknown} given @param {unknown} expected @param {string} source */
function agree(name, given, expected, source) {
  if (given === undefined || given === expected) return
  throw configError(
    name,
    `is ${JSON.stringify(given)}, but ${source} is ${JSON.stringify(expected)}; leave it out here`,
  )
}

/** @param {string} issuer */
function refuseOtherNextAuth(issuer) {
  const version = installedVersion()
  if (!version || (version === 4) === (issuer === 'next-auth-v4')) return
  const names =
    version === 4
      ? 'next-auth.session-token and __Secure-next-auth.session-token'
      : 'authjs.session-token and __Secure-authjs.session-token, or leave it out'
  throw configError('cookieName', `is not that of next-auth ${version}, which is installed; give the bridge ${names}`)
}

/** @type {4 | 5 | undefined | null} null: not looked for yet */
let installed = null

/** Each of the two major versions has an entry that the other lacks. */
function installedVersion() {
  if (installed === null) installed = findVersion()
  return installed
}

function findVersion() {
  if (isInstalled(() => require.resolve('next-auth/package.json'))) return 5
  if (isInstalled(() => require.resolve('next-auth/next'))) return 4
  return undefined
}

/** @param {() => string} resolve */
function isInstalled(resolve) {
  try {
    return resolve() !== ''
  } catch {
    return false
  }
}

module.exports = { refuseConflicts, settingsOf }
