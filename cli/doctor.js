// `authjs-bridge doctor`: loads the environment, runs the checks in `src/doctor/`, and prints them.

const { envFiles } = require('./env-files.js')
const { loadEnvironment } = require('./environment.js')
const { native } = require('./native.js')
const { createPaint, formatJson, sanitize } = require('./terminal.js')

/** @typedef {import('./native.js').Check} Check */

/** @type {Record<Check['status'], string>} */
const COLOURS = { ok: 'green', warning: 'yellow', failed: 'red', skipped: 'gray' }

/** @param {{ json: boolean, production: boolean }} options */
async function doctor({ json, production }) {
  const { diagnose } = native()
  const environment = loadEnvironment(process.cwd(), { production })
  const checks = [envFiles(environment), ...(await diagnose())]
  const ok = checks.every(({ status }) => status !== 'failed')
  const report = { ok, mode: environment.mode, checks }
  process.stdout.write(json ? formatJson(report) : formatChecks(checks, createPaint(process.stdout)))
  return ok ? 0 : 1
}

/** @param {Check[]} checks @param {ReturnType<typeof createPaint>} paint */
function formatChecks(checks, paint) {
  const statuses = Object.keys(COLOURS)
  const [statusWidth, idWidth] = [statuses, checks.map(({ id }) => id)].map((words) => longestLength(words) + 2)
  const margin = ' '.repeat(statusWidth + idWidth)
  const lines = checks.flatMap(({ id, status, message, advice }) => [
    `${paint(COLOURS[status], status.padEnd(statusWidth))}${id.padEnd(idWidth)}${sanitize(message)}`,
    ...(advice ? advice.split('\n').map((line) => `${margin}${sanitize(line)}`) : []),
  ])
  const counts = statuses.map((status) => `${checks.filter((check) => check.status === status).length} ${status}`)
  return `${lines.join('\n')}\n\n${counts.join(', ')}\n`
}

/** @param {string[]} words */
function longestLength(words) {
  return Math.max(...words.map((word) => word.length))
}

module.exports = { doctor }
