// Whether the two tables are as the session query needs them.

const { lost } = require('./connection.js')
const { failed, ok, warning } = require('./check.js')

/** @typedef {import('./check.js').Check} Check */
/** @typedef {import('../native.js').Examination} Examination */
/** @typedef {import('../native.js').FoundTable} FoundTable */
/** @typedef {import('../native.js').Column} Column */
/** @typedef {Column & { table: string, schema: string }} TableColumn */

const KEYS = { sessions: '(tenant, session_id)', users: '(tenant, user_id)' }

/** @param {Examination} examination @param {import('../native.js').Target} target */
function tables({ tables, server }, { schema }) {
  if (!tables) return lost('tables')
  if (tables.Err) return failed('tables', { message: tables.Err.message, advice: 'See the log of the server.' })
  const entries = Object.entries(tables.Ok)
  const missing = entries.flatMap(([name, { missing }]) => (missing ? [{ name, ...missing }] : []))
  const place = schema ? `schema ${schema}` : `the search path (${server?.Ok?.searchPath})`
  if (missing.length > 0) {
    const elsewhere = missing[0]?.elsewhere ?? []
    return failed('tables', {
      message: `${missing.map(({ name }) => name).join(' and ')} not found in ${place}`,
      advice:
        elsewhere.length > 0
          ? `There is one in schema ${elsewhere.join(', ')}: set schema=${elsewhere[0]} in the URL, or the user's search_path.`
          : 'Create them: psql "$DATABASE_URL" --file node_modules/authjs-bridge/schema.sql',
      details: tables.Ok,
    })
  }
  const message = found(tables.Ok).map(([name, { schema, kind }]) => `${kind.replace('-', ' ')} ${schema}.${name}`)
  return ok('tables', { message: message.join(', ') })
}

/** @param {Examination} examination */
function columns(examination) {
  const details = allColumns(examination)
  const problems = details.flatMap(problemsOf)
  if (problems.length === 0) return ok('columns', { message: 'all there, and of types that serve', details })
  const status = problems.some(({ isBroken }) => isBroken) ? failed : warning
  const message = problems.map(({ problem }) => problem).join('; ')
  return status('columns', { message, advice: problems.map(({ mend }) => mend).join('\n'), details })
}

/** @param {TableColumn} column */
function problemsOf({ table, schema, name, usualType, isOptional, actual }) {
  const alter = `ALTER TABLE ${quoted(schema)}.${table}`
  if (!actual) {
    const problem = `${table}.${name} is missing${isOptional ? ', which explainSession alone reads' : ''}`
    return [{ problem, mend: `${alter} ADD COLUMN ${name} ${usualType}`, isBroken: !isOptional }]
  }
  if (actual.fit === 'good') return []
  const isBroken = actual.fit === 'wrong'
  const problem = `${table}.${name} is ${actual.type}${isBroken ? '' : ', another moment in each time zone'}`
  return [{ problem, mend: `${alter} ALTER COLUMN ${name} TYPE ${usualType} USING ${name}::${usualType}`, isBroken }]
}

/** @param {Examination} examination */
function rights(examination) {
  const user = examination.server?.Ok?.user ?? 'the user'
  const closed = foundIn(examination).filter(([, { schemaIsUsable }]) => !schemaIsUsable)
  if (closed.length > 0) {
    const schemas = [...new Set(closed.map(([, { schema }]) => schema))]
    return failed('rights', {
      message: `${user} may not use the schema ${schemas.join(', ')}`,
      advice: schemas.map((schema) => `GRANT USAGE ON SCHEMA ${quoted(schema)} TO ${quoted(user)}`).join('\n'),
    })
  }
  const unreadable = allColumns(examination).filter(({ actual }) => actual && !actual.isReadable)
  if (unreadable.length === 0) return ok('rights', { message: `${user} may read all columns that are needed` })
  const isBroken = unreadable.some(({ isOptional }) => !isOptional)
  const names = unreadable.map(({ table, name }) => `${table}.${name}`).join(', ')
  const advice = foundIn(examination).flatMap(([table, { schema }]) => {
    const own = unreadable.filter((column) => column.table === table).map(({ name }) => name)
    return own.length > 0 ? [`GRANT SELECT (${own.join(', ')}) ON ${quoted(schema)}.${table} TO ${quoted(user)}`] : []
  })
  return (isBroken ? failed : warning)('rights', {
    message: `${user} may not read ${names}${isBroken ? '' : ', which explainSession alone reads'}`,
    advice: advice.join('\n'),
  })
}

/** @param {Examination} examination */
function rowSecurity(examination) {
  const user = examination.server?.Ok?.user ?? 'the user'
  const secured = foundIn(examination).flatMap(([table, { schema, rowSecurity, holdsRows }]) =>
    rowSecurity && !rowSecurity.admitsAll ? [{ table, schema, holdsRows, ...rowSecurity }] : [],
  )
  const details = Object.fromEntries(foundIn(examination).map(([table, { rowSecurity }]) => [table, rowSecurity]))
  if (secured.length === 0) return ok('row-security', { message: `hides nothing from ${user}`, details })
  const names = secured.map(({ table }) => table).join(' and ')
  const advice = secured
    .map(
      ({ table, schema }) =>
        `CREATE POLICY authjs_bridge ON ${quoted(schema)}.${table} FOR SELECT TO ${quoted(user)} USING (true)`,
    )
    .join('\n')
  const hidden = secured.filter(
    ({ table, policies, holdsRows }) => policies === 0 || (table === 'sessions' && holdsRows && seesNone(examination)),
  )
  if (hidden.length > 0) {
    const all = hidden.map(({ table }) => table).join(' and ')
    return failed('row-security', {
      message: `hides all rows of ${all} from ${user}: everyone is signed out`,
      advice,
      details,
    })
  }
  return warning('row-security', {
    message: `is in force on ${names} for ${user}; a row that it hides is a session that is signed out`,
    advice,
    details,
  })
}

/** @param {Examination} examination */
function seesNone({ sessions }) {
  const counts = sessions?.Ok
  return counts !== undefined && 'live' in counts && counts.live + counts.expired + counts.revoked === 0
}

/** @param {Examination} examination */
function uniqueKeys(examination) {
  const without = foundIn(examination).filter(([, { hasUniqueKey }]) => hasUniqueKey === false)
  if (without.length > 0) {
    const names = without.map(([table]) => `${table} ${KEYS[table]}`).join(', ')
    return warning('unique-keys', {
      message: `none on ${names}: a call for a key with two rows is rejected`,
      advice: without
        .map(([table, { schema }]) => `ALTER TABLE ${quoted(schema)}.${table} ADD UNIQUE ${KEYS[table]}`)
        .join('\n'),
    })
  }
  const unknown = foundIn(examination).filter(([, { hasUniqueKey }]) => hasUniqueKey === null)
  const message =
    unknown.length > 0
      ? `not to be seen of a view: ${unknown.map(([table]) => table).join(', ')}`
      : Object.entries(KEYS)
          .map(([table, key]) => `${table} ${key}`)
          .join(', ')
  return ok('unique-keys', { message })
}

/** @param {Examination} examination */
function foundIn({ tables }) {
  return tables?.Ok ? found(tables.Ok) : []
}

/** @param {Record<string, import('../native.js').Table>} tables @returns {['sessions' | 'users', FoundTable][]} */
function found(tables) {
  return Object.entries(tables).flatMap(([name, { found }]) =>
    found ? [[/** @type {'sessions' | 'users'} */ (name), found]] : [],
  )
}

/** @param {Examination} examination @returns {TableColumn[]} */
function allColumns(examination) {
  return foundIn(examination).flatMap(([table, { schema, columns }]) =>
    columns.map((column) => ({ table, schema, ...column })),
  )
}

/** @param {string} name as SQL has it where it is no plain word */
function quoted(name) {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}

module.exports = { columns, rights, rowSecurity, tables, uniqueKeys }
