// `authjs-bridge sessions`: the live sessions of a user.

const { MOST_LISTED, failIfLimited, inDatabase, manage, sessions: count } = require('./manage.js')
const { createPaint, formatJson, sanitize } = require('./terminal.js')
const { UsageError } = require('./usage-error.js')

/** @typedef {import('../index.js').ListedSession} ListedSession */

const MAX_WIDTH = 40
/** What there is no value for. */
const NONE = '-'

/** The columns of the table. @type {[string, (session: ListedSession) => string | null | undefined][]} */
const COLUMNS = [
  ['SESSION', ({ sessionId }) => sessionId],
  ['LAST ACTIVITY', ({ lastActivityAt, createdAt }) => toSeconds(lastActivityAt ?? createdAt)],
  ['DEVICE', ({ deviceName, userAgent }) => deviceName ?? userAgent],
  ['LOGIN METHOD', ({ loginMethod }) => loginMethod],
  ['ADDRESS', ({ ipAddress }) => ipAddress],
  ['ENDS', ({ expiresAt }) => (expiresAt === null ? 'never' : toSeconds(expiresAt))],
]

/** @param {{ json: boolean, production: boolean, tenant?: string, user?: string }} options */
async function sessions({ json, user, ...options }) {
  if (user === undefined) throw new UsageError('--user is missing: whose sessions')
  const listed = await manage(options, ({ listSessions }, ofTenant) => listSessions({ ...ofTenant, userId: user }))
  if (listed.length === 0) await failIfLimited('list')
  process.stdout.write(
    json ? formatJson({ sessions: listed }) : formatTable(listed, await inDatabase(), createPaint(process.stdout)),
  )
  return 0
}

/** @param {ListedSession[]} listed @param {string} where @param {ReturnType<typeof createPaint>} paint */
function formatTable(listed, where, paint) {
  const more = listed.length < MOST_LISTED ? '' : '; there may be more'
  const total = `${count(listed.length, 'live session')} ${where}${more}\n`
  if (listed.length === 0) return total
  const cells = listed.map((session) => COLUMNS.map(([name, value]) => formatCell(name, value(session))))
  const rows = [COLUMNS.map(([name]) => name), ...cells]
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  const [header = '', ...rest] = lines
  return `${[paint('gray', header), ...rest].join('\n')}\n\n${total}`
}

/** Without the milliseconds. @param {string | null | undefined} time */
function toSeconds(time) {
  return time?.replace(/\.\d+Z$/, 'Z')
}

/** @param {string} name @param {string | null | undefined} value */
function formatCell(name, value) {
  const text = sanitize(value ?? '').trim()
  if (text === '') return NONE
  // An id that was cut could not be used.
  return name === 'SESSION' || text.length <= MAX_WIDTH ? text : `${text.slice(0, MAX_WIDTH - 3)}...`
}

module.exports = { sessions }
