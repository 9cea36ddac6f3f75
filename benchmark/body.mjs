// Converts claims to the session object that the README documents, for the contestants in JavaScript.

/** @typedef {Record<string, any>} Claims */
/** @typedef {import('../index.js').AuthSession} AuthSession */

export const UNAUTHENTICATED = Object.freeze({})

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const SUBSCRIPTION_STATUSES = new Set(['active', 'trialing', 'past_due', 'unpaid'])

/**
 * The session object for the claims of a token, or null if a required claim is missing or invalid.
 *
 * @param {Claims} claims
 * @returns {AuthSession | null}
 */
export function sessionOf(claims) {
  const id = isText(claims.id) ? claims.id : claims.sub
  const { session_id, tenant, user_type } = claims
  if (!isUuid(id) || !isUuid(session_id) || !isUuid(tenant)) return null
  if (user_type !== 'internal' && user_type !== 'client') return null
  const user = /** @type {import('../index.js').AuthSessionUser} */ ({
    id,
    email: isText(claims.email) ? claims.email : '',
    name: isText(claims.name) ? claims.name : '',
    username: isText(claims.username) ? claims.username : '',
  })
  const image = isText(claims.image) ? claims.image : claims.picture
  if (isText(image)) user.image = image
  if (isText(claims.proToken)) user.proToken = claims.proToken
  if (isText(claims.tenantSlug)) user.tenantSlug = claims.tenantSlug
  if (isText(claims.plan)) user.plan = claims.plan
  user.tenant = tenant
  user.user_type = user_type
  if (isUuid(claims.clientId)) user.clientId = claims.clientId
  if (isUuid(claims.contactId)) user.contactId = claims.contactId
  user.addons = Array.isArray(claims.addons) && claims.addons.every(isText) ? claims.addons : []
  user.trial_end = isText(claims.trial_end) ? claims.trial_end : null
  user.solo_pro_trial_end = isText(claims.solo_pro_trial_end) ? claims.solo_pro_trial_end : null
  user.premium_trial_end = isText(claims.premium_trial_end) ? claims.premium_trial_end : null
  user.premium_trial_effective_date = isText(claims.premium_trial_effective_date)
    ? claims.premium_trial_effective_date
    : null
  user.premium_trial_confirmed = claims.premium_trial_confirmed === true
  user.subscription_status = SUBSCRIPTION_STATUSES.has(claims.subscription_status) ? claims.subscription_status : null
  return isText(claims.login_method) ? { session_id, login_method: claims.login_method, user } : { session_id, user }
}

/** @param {unknown} value @returns {value is string} */
function isText(value) {
  return typeof value === 'string'
}

/** @param {unknown} value @returns {value is string} */
function isUuid(value) {
  return typeof value === 'string' && UUID.test(value)
}
