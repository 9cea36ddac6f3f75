// The callbacks and the event that Auth.js gets. Those of the app run first.

const { deviceOf } = require('../device.js')
const { logFailure } = require('../next/log.js')
const { configError } = require('../next/options.js')
const { adoptedId, isAdoptable } = require('./adopt.js')
const { describeClient, requestHeaders, sendCookies, signInHeaders, warnOverHttp } = require('./request.js')

const USER_TYPES = ['client', 'internal']

/** @param {any} config @param {any} own */
function createCallbacks(
  config,
  { bridge, identify, adopt, maxSessions, whenFull, trustedProxyHeader, req, res, settings },
) {
  /** The session that was read for a token. */
  const sessions = new WeakMap()

  /** @param {any} params */
  async function jwt(params) {
    // The app's callback may change the token in place.
    const before = { ...params.token }
    const returned = config.callbacks?.jwt ? await config.callbacks.jwt(params) : params.token
    if (!returned) return returned
    if (params.user) return startSession(returned, params)
    const token = keepProtectedClaims(before, returned, params.trigger)
    const checked = await check(token).catch((error) => {
      // If this threw, Auth.js would delete the cookie: an outage would be a sign-out.
      logFailure(error, 'check the session')
      return token
    })
    if (checked) return checked
    // next-auth 4 can't be told by null: it would answer with the session.
    if (settings().isVersion4) throw new Error('authjs-bridge: the session has ended, so its cookie is deleted')
    return null
  }

  /** At a sign-in or a first sign-up. @param {any} token @param {any} params */
  async function startSession(token, { user, account, profile }) {
    const headers = await signInHeaders(req)
    warnOverHttp(headers, settings().cookies.sessionToken.options)
    const cookie = headers.get('cookie')
    // The app has started a session itself.
    if (isPresent(token.session_id)) {
      await bridge.endNamedSessions(cookie, token.session_id)
      return token
    }
    const { claims, userId, missing } = await ownerOf(token, { user, account, profile })
    if (missing.length > 0) {
      const problem = `missing at the sign-in: let the callback jwt put it into the token, or identify() return it`
      throw configError(missing.join(', '), `${missing.length > 1 ? 'are' : 'is'} ${problem}`)
    }
    const loginMethod = token.login_method ?? account?.provider
    const options = {
      ...newSession({ ...token, ...claims }, userId, loginMethod, headers),
      ...(maxSessions && { maxSessions }),
      ...(whenFull && { whenFull }),
    }
    const { sessionId } = await bridge.startSession(options, deviceOf(options.userAgent), cookie)
    return started({ ...token, ...claims }, sessionId, loginMethod)
  }

  /** The token as it goes on; undefined if its session has ended. @param {any} token */
  async function check(token) {
    if (!isPresent(token.session_id)) return adopt && isAdoptable(token, adopt.until) ? adoptToken(token) : token
    const rolled = await bridge.rollSession(JSON.stringify(token))
    return rolled.state === 'live' ? renewed(token, rolled) : undefined
  }

  /** Starts the row of a token that has none. If its user is not found, the token stays as it is. @param {any} token */
  async function adoptToken(token) {
    const { claims, userId, missing } = await ownerOf(token, {})
    if (missing.length > 0) return token
    const [secret] = bridge.issuerOptions().secrets
    const sessionId = adoptedId(secret, token.jti)
    const headers = await requestHeaders(req)
    const options = newSession({ ...token, ...claims }, userId, token.login_method, headers)
    await bridge.adoptSession(options, deviceOf(options.userAgent), sessionId)
    const adopted = started({ ...token, ...claims }, sessionId, token.login_method)
    const rolled = await bridge.rollSession(JSON.stringify(adopted))
    if (rolled.state === 'live') return renewed(adopted, rolled)
    if (rolled.state === 'ended') return undefined
    await bridge.revokeSession({ ...tenantOf(adopted), sessionId, userId })
    const problem = 'a session without a row was not adopted: its user is not found, or of another user_type'
    console.error(`authjs-bridge: ${problem}`)
    return token
  }

  /** Whose session a token is for, with the claims that it lacks. @param {any} token @param {any} signIn */
  async function ownerOf(token, signIn) {
    const { ownerClaims } = bridge.issuerOptions()
    const given =
      identify && ownerClaims.some((/** @type {string} */ name) => !isPresent(token[name]))
        ? await identify({ ...signIn, token })
        : undefined
    const claims = /** @type {Record<string, unknown>} */ ({})
    for (const name of ['tenant', 'id', 'user_type']) {
      if (!isPresent(token[name]) && isPresent(given?.[name])) claims[name] = given[name]
    }
    const known = { ...token, ...claims }
    const userId = known.id ?? known.sub
    const isGiven = {
      tenant: isPresent(known.tenant),
      id: isPresent(userId),
      user_type: USER_TYPES.includes(known.user_type),
    }
    return { claims, userId, missing: ownerClaims.filter((/** @type {keyof typeof isGiven} */ name) => !isGiven[name]) }
  }

  /** What `createSession` gets. @param {any} token @param {unknown} userId @param {unknown} loginMethod @param {any} headers */
  function newSession(token, userId, loginMethod, headers) {
    const { maxAge } = settings()
    const client = describeClient(headers, trustedProxyHeader)
    return { ...tenantOf(token), userId, maxAge, ...client, ...(isPresent(loginMethod) && { loginMethod }) }
  }

  /** @param {any} token */
  function tenantOf({ tenant }) {
    return bridge.issuerOptions().ownerClaims.includes('tenant') ? { tenant } : {}
  }

  /** A token whose row was read just now. @param {any} token @param {any} rolled */
  function renewed(token, { session, claims }) {
    const next = { ...token }
    for (const [name, value] of Object.entries(claims)) {
      if (value === null) delete next[name]
      else next[name] = value
    }
    sessions.set(next, session)
    return next
  }

  /**
   * Nobody can change by `update(data)` whose session it is or how long it lasts; and a callback that makes a new token of a few
   * claims doesn't lose the session.
   *
   * @param {any} before
   * @param {any} token
   * @param {string | undefined} trigger
   */
  function keepProtectedClaims(before, token, trigger) {
    const kept = { ...token }
    for (const name of bridge.issuerOptions().protectedClaims) {
      if (trigger !== 'update' && isPresent(token[name])) continue
      if (before[name] === undefined) delete kept[name]
      else kept[name] = before[name]
    }
    return kept
  }

  /** @param {any} params */
  async function session(params) {
    if (config.callbacks?.session) return config.callbacks.session(params)
    const { session: authSession, token } = params
    const ours = sessions.get(token) ?? bridge.describeSession(JSON.stringify(token))
    if (!ours) return authSession
    // Auth.js is about to issue the token anew.
    return Object.hasOwn(ours, 'expires') ? { ...ours, expires: authSession.expires } : ours
  }

  /** @param {any} message */
  async function signOut(message) {
    try {
      await config.events?.signOut?.(message)
    } finally {
      await endSession(message?.token)
    }
  }

  /** @param {any} token */
  async function endSession(token) {
    const cookie = (await requestHeaders(req))?.get('cookie')
    await bridge
      .signOut(cookie, JSON.stringify(token ?? {}))
      .catch((/** @type {unknown} */ error) => logFailure(error, 'end the session at a sign-out'))
    try {
      await sendCookies(bridge.deletedCookies(cookie), res)
    } catch (error) {
      logFailure(error, 'delete the other session cookies at a sign-out')
    }
  }

  return {
    callbacks: { ...config.callbacks, jwt, session },
    events: { ...config.events, signOut },
  }
}

/** @param {any} token @param {string} sessionId @param {unknown} loginMethod */
function started(token, sessionId, loginMethod) {
  return {
    ...token,
    session_id: sessionId,
    ...(isPresent(loginMethod) && { login_method: loginMethod }),
    rolled_at: Math.floor(Date.now() / 1000),
  }
}

/** @param {unknown} value */
function isPresent(value) {
  return value !== undefined && value !== null
}

module.exports = { createCallbacks }
