// `authjs-bridge revoke`: ends one session, all of a user, or all of a tenant.

const { MOST_LISTED, failIfLimited, inDatabase, manage, sessions, withProgress } = require('./manage.js')
const { formatJson, readLine, sanitize } = require('./terminal.js')
const { UsageError } = require('./usage-error.js')

/** @typedef {import('./manage.js').Bridge} Bridge */
/**
 * @typedef {object} Options
 * @property {boolean} json
 * @property {boolean} production
 * @property {boolean} yes
 * @property {boolean} any-user
 * @property {boolean} all-of-tenant
 * @property {string} [tenant]
 * @property {string} [user]
 * @property {string} [session]
 * @property {string} [reason]
 */

/** @param {Options} options */
async function revoke(options) {
  checkScope(options)
  const isOne = options.session !== undefined
  const isOnTerminal = process.stdin.isTTY && process.stderr.isTTY
  if (!isOne && !options.yes && !isOnTerminal) {
    throw new UsageError('this may end several sessions, and there is no terminal to ask on: say --yes')
  }
  const revoked = await manage(options, async (bridge, ofTenant) => {
    const goesOn = isOne || options.yes || (await confirm(options, bridge, ofTenant))
    return goesOn ? withProgress(bridge, 'revoked', () => end(options, bridge, ofTenant)) : undefined
  })
  if (revoked === undefined) {
    process.stderr.write('nothing was ended\n')
    return 1
  }
  if (revoked === 0) await failIfLimited('end')
  const line = `ended ${sessions(revoked)} ${await inDatabase()}${revoked === 0 ? `: ${whyNone(options)}` : ''}\n`
  process.stdout.write(options.json ? formatJson({ revoked }) : line)
  return 0
}

/** In an incident a mistyped id must not look like work that is done. @param {Options} options */
function whyNone({ user, session }) {
  if (session !== undefined && user === undefined) return 'it has ended, or does not exist'
  if (session !== undefined) return "it has ended, does not exist, or is another user's"
  return user === undefined
    ? 'none is live in this tenant; --tenant takes its id, as the column tenant has it'
    : 'none of this user is live; --user takes the id, as the column user_id has it'
}

/** @param {Options} options */
function checkScope({ tenant, user, session, 'any-user': anyUser, 'all-of-tenant': allOfTenant }) {
  const problems = [
    [
      allOfTenant && (user !== undefined || session !== undefined || anyUser),
      "--all-of-tenant can't be given with --session, --user or --any-user",
    ],
    [allOfTenant && tenant === undefined, '--all-of-tenant needs --tenant'],
    [anyUser && session === undefined, '--any-user needs --session'],
    [anyUser && user !== undefined, "--any-user can't be given with --user"],
    [
      session !== undefined && user === undefined && !anyUser,
      '--session needs --user, whose session it must be; an administrator gives --any-user instead',
    ],
    [
      session === undefined && user === undefined && !allOfTenant,
      'say what to end: --session, --user or --all-of-tenant',
    ],
  ]
  const [, problem] = problems.find(([isWrong]) => isWrong) ?? []
  if (problem) throw new UsageError(/** @type {string} */ (problem))
}

/** Asks on the terminal before more than one session ends. @param {Options} options @param {Bridge} bridge @param {{ tenant: string }} ofTenant */
async function confirm({ user, tenant }, { listSessions }, ofTenant) {
  let which = `all sessions of the tenant ${tenant}`
  if (user !== undefined) {
    const { length } = await listSessions({ ...ofTenant, userId: user })
    if (length <= 1) return true
    which = `all ${length < MOST_LISTED ? length : `${length} or more`} sessions of the user ${user}`
  }
  return /^y(es)?$/i.test((await readLine(`End ${sanitize(which)} ${await inDatabase()}? (y/N): `)).trim())
}

/** @param {Options} options @param {Bridge} bridge @param {{ tenant: string }} ofTenant @returns {Promise<number>} */
async function end({ user, session, reason }, bridge, ofTenant) {
  const why = reason === undefined ? {} : { reason }
  if (session !== undefined) {
    const owner = user === undefined ? { anyUser: /** @type {const} */ (true) } : { userId: user }
    return Number(await bridge.revokeSession({ ...ofTenant, sessionId: session, ...owner, ...why }))
  }
  if (user !== undefined) return bridge.revokeSessions({ ...ofTenant, userId: user, ...why })
  return bridge.revokeTenantSessions({ ...ofTenant, ...why })
}

module.exports = { revoke }
