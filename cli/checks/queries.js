// How the session query fares.

const { failed, ok, skipped, warning } = require('./check.js')
const { lost, poolerAdvice } = require('./connection.js')

/** @typedef {import('../native.js').Examination} Examination */
/** @typedef {import('../native.js').Scan} Scan */

/** @param {Examination} examination @param {string | undefined} broken the check that tells why, if one does */
function lookups({ lookups }, broken) {
  if (!lookups) return lost('lookups')
  if (lookups.Err) {
    const { code, message } = lookups.Err
    const isLate = code === 'ERR_AUTH_BRIDGE_TIMEOUT'
    const advice = isLate
      ? 'Look for locks on the tables, and at the load of the server.'
      : `${broken ? `Mend ${broken} first` : 'See the log of the server'}.`
    return failed('lookups', { message, advice, ...poolerAdvice(message), details: lookups.Err })
  }
  const { first, median, worst } = lookups.Ok
  return ok('lookups', {
    message: `ten in a row: ${median} ms in the median, ${first} ms the first, ${worst} ms the slowest`,
    details: lookups.Ok,
  })
}

/** @param {Pick<Examination, 'plan'>} examination */
function indexes({ plan }) {
  if (!plan) return lost('indexes')
  if (plan.Err) return skipped('indexes', 'the session query is refused')
  const scans = plan.Ok
  const details = scans
  const unread = scans.filter(({ index, node }) => !index && node === 'Seq Scan')
  if (unread.length > 0) {
    const tables = [...new Set(unread.map(({ table }) => table))]
    return failed('indexes', {
      message: `each request reads the whole table ${tables.join(' and ')}`,
      advice: tables.map(create).join('\n'),
      details,
    })
  }
  const broad = scans.filter(({ table, condition }) => /^sessions/.test(table) && !condition?.includes('session_id'))
  if (broad.length > 0) {
    return warning('indexes', {
      message: `each request reads all sessions of a tenant, by ${broad.map(({ index }) => index).join(', ')}`,
      advice: create('sessions'),
      details,
    })
  }
  const used = scans.map(({ node, index, table }) => `${table} by ${index ?? node}`)
  return ok('indexes', { message: used.length > 0 ? used.join(', ') : 'the plan shows no table', details })
}

/** @param {string} table */
function create(table) {
  const key = /^users/.test(table) ? 'user_id' : 'session_id'
  return `CREATE UNIQUE INDEX CONCURRENTLY ON ${table} (tenant, ${key})`
}

/** @param {Examination} examination */
function sessions({ sessions, tables }) {
  if (!sessions) return lost('sessions')
  if (sessions.Err) return skipped('sessions', 'may not be counted')
  const counts = sessions.Ok
  if ('live' in counts) {
    const { live, expired, revoked } = counts
    return ok('sessions', { message: `${live} live, ${expired} expired, ${revoked} revoked`, details: counts })
  }
  const estimate = tables?.Ok?.sessions.found?.estimatedRows
  const about = estimate
    ? `about ${Math.round(estimate)} by the server's statistics`
    : 'and the server has no statistics yet'
  return ok('sessions', { message: `too many to count within ${counts.seconds} s, ${about}`, details: counts })
}

module.exports = { indexes, lookups, sessions }
