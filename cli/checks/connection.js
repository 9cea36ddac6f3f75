// Whether the database is reached, through what, and who answers.

const { failed, ok, skipped, warning } = require('./check.js')

/** @typedef {import('./check.js').Check} Check */
/** @typedef {import('../native.js').Examination} Examination */
/** @typedef {import('../native.js').Target} Target */
/** @typedef {import('../native.js').Failure} Failure */

/** The tolerance that a token's times have (docs/how-a-request-is-decided.md, step 5). */
const TOLERANCE_SECONDS = 15
const NOTICEABLE_SECONDS = 1
/** Where the library's own error begins to say what to do. */
const POOLER_ADVICE = '; behind a pooler'

/** What an error's message, or its code, tells of the cause. @type {[RegExp, (target: Target) => string][]} */
const CAUSES = [
  [
    /SQLSTATE 28P01/,
    ({ variables }) =>
      `Correct user and password in ${variables.join(', ')}. In a URL, write special characters percent-encoded: %40 for @.`,
  ],
  [/SQLSTATE 28/, () => 'The server takes no such user, database, address or TLS mode: see its pg_hba.conf.'],
  [
    /SQLSTATE 3D000/,
    ({ database, user }) => `Name another database, or make this one: CREATE DATABASE "${database ?? user}"`,
  ],
  [
    /SQLSTATE 53300/,
    () => 'All connections of the server are taken: raise max_connections, or lower connection_limit.',
  ],
  [
    /certificate|host name mismatch/i,
    ({ hosts }) =>
      `Name the authority of the server's certificate: sslrootcert=/path/to/ca.pem. With verify-full it must be for ${hosts}.`,
  ],
  [
    /does not support TLS/,
    () => 'Set ssl = on at the server, with a certificate; sslmode=disable only on this very machine.',
  ],
  [/can't be looked up/, ({ variables }) => `Correct the name of the host in ${variables.join(', ')}.`],
  [
    /ERR_AUTH_BRIDGE_TIMEOUT/,
    () => 'Something between here and the server drops what is sent (a firewall?), or the server hangs.',
  ],
  [
    /refused|No such file/i,
    ({ variables }) => `Start the server, or correct host and port in ${variables.join(', ')}.`,
  ],
]

/** @param {import('../native.js').Result<Examination>} connected @param {Target} target */
function connection(connected, target) {
  if (connected.Err) return failed('connection', { ...explained(connected.Err, target), details: connected.Err })
  const { address, milliseconds } = connected.Ok
  return ok('connection', { message: `${address} in ${milliseconds} ms`, details: { address, milliseconds } })
}

/** @param {Failure} failure @param {Target} target */
function explained({ code, message }, target) {
  const ofPooler = poolerAdvice(message)
  if (ofPooler) return ofPooler
  const [, cause] = CAUSES.find(([pattern]) => pattern.test(`${code} ${message}`)) ?? []
  return { message, advice: cause?.(target) ?? 'See the log of the server.' }
}

/** What an error says itself of what to do. @param {string} text */
function poolerAdvice(text) {
  const [message = '', advice] = text.split(POOLER_ADVICE)
  return advice === undefined ? undefined : { message, advice: `Behind a pooler${advice}.` }
}

/** @param {Examination} examination @param {Target} target @param {boolean} isProduction */
function tls({ tls, address }, target, isProduction) {
  if ('Err' in tls) {
    return warning('tls', {
      message: `which TLS was agreed on is not known: ${tls.Err}`,
      advice: 'Run doctor once more.',
    })
  }
  const details = { ...tls.Ok, verify: target.verify }
  const isSocket = address.startsWith('/')
  if (isSocket) return ok('tls', { message: 'none, through a Unix socket', details })
  const verified = {
    nothing: 'the certificate is not verified',
    chain: 'the certificate is verified, but not for which host it is',
    'chain-and-host-name': 'the certificate is verified',
  }[target.verify]
  const message = tls.Ok ? `${[tls.Ok.version, tls.Ok.cipher].filter(Boolean).join(', ')}; ${verified}` : 'none'
  const isSafe = tls.Ok && target.verify === 'chain-and-host-name'
  if (isSafe || (target.isLocal && !isProduction)) return ok('tls', { message, details })
  return warning('tls', {
    message,
    advice: `Whoever is on the way to the server can answer for it: set sslmode=verify-full in ${target.variables.join(', ')}.`,
    details,
  })
}

/** @param {Examination} examination */
function server({ server }) {
  if (!server) return lost('server')
  if (server.Err) return failed('server', { message: server.Err.message, advice: 'See the log of the server.' })
  const { version, database, user, isStandby } = server.Ok
  const message = `PostgreSQL ${version}, database ${database}, user ${user}`
  if (!isStandby) return ok('server', { message, details: server.Ok })
  return warning('server', {
    message: `${message}; a standby, which may not know yet of a session that was revoked`,
    advice: 'Ask the primary: name all hosts in DATABASE_URL, with target_session_attrs=read-write.',
    details: server.Ok,
  })
}

/** @param {Examination} examination @param {Target} target */
function pooler({ pooler }, { preparedStatements }) {
  if (!pooler) return skipped('pooler', 'the server does not tell')
  const details = { mode: pooler, preparedStatements }
  if (pooler === 'none') return ok('pooler', { message: 'none', details })
  if (pooler === 'session')
    return ok('pooler', { message: 'one that gives each client a connection of its own', details })
  const found = 'one that shares connections, as PgBouncer does in transaction mode'
  if (!preparedStatements) return ok('pooler', { message: `${found}; statements are not prepared`, details })
  return warning('pooler', {
    message: `${found}; but statements are prepared, and may be gone at the next query`,
    advice: 'Set pgbouncer=true in the URL, or the option preparedStatements: false.',
    details,
  })
}

/** @param {Pick<Examination, 'clock'>} examination */
function clock({ clock }) {
  if (!clock) return lost('clock')
  if (clock.Err) return failed('clock', { message: clock.Err.message, advice: 'See the log of the server.' })
  const { ahead, uncertainty } = clock.Ok
  const seconds = (/** @type {number} */ value) => `${Math.abs(value).toFixed(3)} s`
  const direction = ahead < 0 ? 'behind' : 'ahead of'
  const found = {
    message: `the server's is ${seconds(ahead)} ${direction} this machine's (give or take ${seconds(uncertainty)})`,
    details: clock.Ok,
  }
  const distance = Math.abs(ahead) - uncertainty
  if (distance < NOTICEABLE_SECONDS) return ok('clock', found)
  const advice = `Set both clocks by NTP. A token's times are judged by this machine's, with ${TOLERANCE_SECONDS} s of tolerance;
expires_at of a session by the server's. Where they differ, sessions end too soon or too late.`
  return (distance < TOLERANCE_SECONDS ? warning : failed)('clock', { ...found, advice })
}

/** @param {string} id */
function lost(id) {
  return skipped(id, 'the connection was lost before')
}

module.exports = { clock, connection, lost, pooler, poolerAdvice, server, tls }
