// Facts -> the checklist, in the order in which one would look.

const { skipped } = require('./check.js')
const { cookies, databaseUrl, envFiles, secrets } = require('./configuration.js')
const { clock, connection, lost, pooler, server, tls } = require('./connection.js')
const { indexes, lookups, sessions } = require('./queries.js')
const { columns, rights, rowSecurity, tables, uniqueKeys } = require('./tables.js')

/** @typedef {import('./check.js').Check} Check */
/** @typedef {import('../native.js').Diagnosis} Diagnosis */

const AFTER_CONNECTION = [
  ...['tls', 'server', 'pooler', 'clock', 'tables', 'columns', 'rights', 'row-security', 'unique-keys'],
  ...['lookups', 'indexes', 'sessions'],
]

/**
 * @param {ReturnType<typeof import('../environment.js').loadEnvironment>} environment
 * @param {Diagnosis} diagnosis
 * @returns {Check[]}
 */
function checklist(environment, { configuration, database }) {
  return [
    envFiles(environment),
    secrets(configuration),
    cookies(configuration),
    databaseUrl(database),
    ...ofDatabase(database, configuration.isProduction),
  ]
}

/** @param {Diagnosis['database']} database @param {boolean} isProduction @returns {Check[]} */
function ofDatabase(database, isProduction) {
  if (database.Err)
    return ['connection', ...AFTER_CONNECTION].map((id) => skipped(id, 'needs a database-url that is right'))
  const { target, connection: connected } = database.Ok
  if (connected.Err) {
    return [connection(connected, target), ...AFTER_CONNECTION.map((id) => skipped(id, 'needs a connection'))]
  }
  const examination = connected.Ok
  const catalog = tables(examination, target)
  const isLost = catalog.status === 'skipped'
  const ofTables =
    catalog.status === 'ok'
      ? [columns, rights, rowSecurity, uniqueKeys].map((check) => check(examination))
      : ['columns', 'rights', 'row-security', 'unique-keys'].map(isLost ? lost : needsTables)
  const broken = [catalog, ...ofTables].find(({ status }) => status === 'failed')?.id
  return [
    connection(connected, target),
    tls(examination, target, isProduction),
    server(examination),
    pooler(examination, target),
    clock(examination),
    catalog,
    ...ofTables,
    ...(examination.tables?.Ok && catalog.status === 'failed'
      ? ['lookups', 'indexes', 'sessions'].map(needsTables)
      : [lookups(examination, broken), indexes(examination), sessions(examination)]),
  ]
}

/** @param {string} id */
function needsTables(id) {
  return skipped(id, 'needs the tables')
}

module.exports = { checklist }
