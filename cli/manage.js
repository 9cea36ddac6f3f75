// What the commands that list, end and delete sessions share: they call the functions of the module as an app does.

const { loadEnvironment } = require('./environment.js')
const { native } = require('./native.js')
const { sanitize } = require('./terminal.js')
const { UsageError } = require('./usage-error.js')

/** @typedef {typeof import('../index.js')} Bridge */
/** @typedef {import('../index.js').AuthBridgeError} AuthBridgeError */

/** As many sessions as `listSessions` returns at most. */
const MOST_LISTED = 1000
/** How often the progress is shown, in ms. What takes no longer than that shows none. */
const INTERVAL = 500
/** The options of the command line by the arguments of the functions. @type {Record<string, string>} */
const OPTIONS = { userId: '--user', sessionId: '--session', reason: '--reason' }

/**
 * Calls functions of the module, configured as for doctor and explain. What they say of an argument is said of the option.
 *
 * @template T
 * @param {{ production: boolean, tenant?: string }} options
 * @param {(bridge: Bridge, ofTenant: { tenant: string }) => Promise<T>} call
 */
async function manage({ production, tenant }, call) {
  const bridge = require('../index.js')
  loadEnvironment(process.cwd(), { production })
  // An app without tenants leaves the key out; the types don't know the options.
  const ofTenant = /** @type {{ tenant: string }} */ (tenant === undefined ? {} : { tenant })
  try {
    return await call(bridge, ofTenant)
  } catch (error) {
    const { code, message } = /** @type {AuthBridgeError} */ (error)
    if (code !== 'ERR_AUTH_BRIDGE_ARGUMENT') throw error
    throw new UsageError(describe(message, tenant))
  }
}

/** @param {string} message begins with the name of the argument @param {string | undefined} tenant */
function describe(message, tenant) {
  if (!message.startsWith('tenant: ')) return message.replace(/^\w+/, (name) => OPTIONS[name] ?? name)
  return tenant === undefined
    ? '--tenant is missing; only with the option multiTenant: false there is none'
    : 'the option multiTenant is false, so there are no tenants: leave out --tenant'
}

/**
 * Shows on a terminal how many sessions were ended or deleted so far. If the rest fails, the message says how many.
 *
 * @param {Bridge} bridge
 * @param {'revoked' | 'deleted'} counter
 * @param {() => Promise<number>} work
 */
async function withProgress({ defaultBridge }, counter, work) {
  const count = () => defaultBridge().stats().sessions[counter]
  let isShown = false
  const show = () => {
    isShown = true
    process.stderr.write(`\r${count()} ${counter} so far`)
  }
  const timer = process.stderr.isTTY ? setInterval(show, INTERVAL) : undefined
  try {
    return await work()
  } catch (error) {
    const failed = /** @type {AuthBridgeError} */ (error)
    // With a wrong configuration there are no counts.
    const done = failed.code === 'ERR_AUTH_BRIDGE_CONFIG' ? 0 : count()
    if (done > 0) failed.message += `; ${done} ${counter} so far`
    throw failed
  } finally {
    clearInterval(timer)
    if (isShown) process.stderr.write('\n')
  }
}

/** Which database a command works on, as the check `database-url` has it. */
async function inDatabase() {
  const { database, hosts } = await native().databaseTarget()
  return `in the database ${sanitize(database ? `${database} at ${hosts}` : `at ${hosts}`)}`
}

/**
 * Where none was found, fails if row-level security may be why: nobody must take it for done while sessions live on.
 *
 * @param {'list' | 'end' | 'delete'} verb as the check `writes` has it
 */
async function failIfLimited(verb) {
  const checks = await native().diagnose()
  const details = (/** @type {string} */ id) =>
    /** @type {Record<string, any>} */ (checks.find((check) => check.id === id)?.details ?? {})
  const { sessions } = details('row-security')
  if (!sessions || (sessions.admitsAll && details('writes')[verb] !== false)) return
  const role = sanitize(details('server').user)
  const message = `found no session to ${verb}, but row-level security limits which ones the role ${role} can ${verb}`
  throw Object.assign(new Error(`${message}: run \`npx authjs-bridge doctor\``), { code: 'ERR_AUTH_BRIDGE_DATABASE' })
}

/** @param {number} count */
function sessions(count, kind = 'session') {
  return `${count === 0 ? 'no' : count} ${kind}${count === 1 ? '' : 's'}`
}

module.exports = { MOST_LISTED, failIfLimited, inDatabase, manage, sessions, withProgress }
