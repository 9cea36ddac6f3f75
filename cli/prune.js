// `authjs-bridge prune`: deletes sessions that ended before a time.

const { failIfLimited, manage, sessions, withProgress } = require('./manage.js')
const { formatJson } = require('./terminal.js')
const { UsageError } = require('./usage-error.js')

const DAY = 86_400_000
/** A day, or a time with its zone: what else `Date` reads depends on the machine. */
const ISO_8601 = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/

/** @param {{ json: boolean, production: boolean, before?: string, limit?: string }} options */
async function prune({ json, production, ...options }) {
  const before = parseBefore(options.before, Date.now())
  const limit = options.limit === undefined ? {} : { limit: parseLimit(options.limit) }
  const deleted = await manage({ production }, (bridge) =>
    withProgress(bridge, 'deleted', () => bridge.deleteEndedSessions({ before, ...limit })),
  )
  if (deleted === 0) await failIfLimited('delete')
  const time = before.toISOString()
  const line = `deleted ${sessions(deleted)} that ended before ${time}\n`
  process.stdout.write(json ? formatJson({ deleted, before: time }) : line)
  return 0
}

/** @param {string | undefined} text @param {number} now */
function parseBefore(text, now) {
  if (text === undefined) throw new UsageError('--before is missing: until when sessions must have ended, such as 30d')
  const [, days] = /^(\d{1,6})d$/.exec(text) ?? []
  const time = days ? now - Number(days) * DAY : ISO_8601.test(text) && isDay(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) {
    throw new UsageError(
      '--before must be a number of days ago (30d), a day (2026-01-31) or a time (2026-01-31T12:00:00Z)',
    )
  }
  // Sessions that are still to end would be deleted, and their users signed out.
  if (time > now) throw new UsageError('--before must not be in the future: live sessions would be deleted')
  return new Date(time)
}

/** Whether the calendar has the day: `Date` takes February 30 for March 2. @param {string} text */
function isDay(text) {
  const day = text.slice(0, 10)
  const parsed = new Date(`${day}T00:00:00Z`)
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(day)
}

/** @param {string} text */
function parseLimit(text) {
  const limit = /^[1-9]\d*$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(limit)) throw new UsageError('--limit must be a whole number from 1 on')
  return limit
}

module.exports = { prune }
