// `authjs-bridge explain`: why a request with this Cookie header has a session, or has none.

const { text: readAll } = require('node:stream/consumers')
const { REASONS } = require('./advice.js')
const { loadEnvironment } = require('./environment.js')
const { native } = require('./native.js')
const { createPaint, formatJson, readLine, sanitize } = require('./terminal.js')
const { UsageError } = require('./usage-error.js')

/** @typedef {import('../index.js').SessionExplanation} SessionExplanation */

/** @type {Record<SessionExplanation['status'], string>} */
const COLOURS = { authenticated: 'green', unauthenticated: 'yellow', unavailable: 'red' }
/** Where the name of a detail alone could mean the opposite. @type {Record<string, string>} */
const LABELS = { claims: 'missing' }
const PROMPT = 'Paste the Cookie header (it is not shown): '

/** @param {{ json: boolean, production: boolean }} options */
async function explain({ json, production }) {
  const { explainSession } = native()
  loadEnvironment(process.cwd(), { production })
  const header = parseInput(
    process.stdin.isTTY ? await readLine(PROMPT, { isHidden: true }) : await readAll(process.stdin),
  )
  const explanation = await explainSession(header)
  const { meaning, advice } = REASONS[explanation.reason]
  process.stdout.write(
    json
      ? formatJson({ ...explanation, advice })
      : formatExplanation(explanation, meaning, advice, createPaint(process.stdout)),
  )
  return explanation.status === 'unavailable' ? 1 : 0
}

/** The value of the header, from a line with or without `Cookie:`. @param {string} input */
function parseInput(input) {
  const line = input.trim()
  if (line === '') throw new UsageError('standard input is empty; pass the Cookie header of a request')
  if (/^curl\s/.test(line)) {
    throw new UsageError('standard input is a curl command; pass only what it has after `cookie:` or `-b`')
  }
  if (/[\r\n]/.test(line)) throw new UsageError('standard input has more than one line; pass the Cookie header alone')
  const header = line.replace(/^cookie:\s*/i, '')
  // Without `=` there is no cookie at all, only perhaps its value.
  if (header !== '' && !header.includes('=')) {
    throw new UsageError('standard input has no name=value; pass the Cookie header, with the name before the token')
  }
  return header
}

/**
 * @param {SessionExplanation} explanation
 * @param {string} meaning
 * @param {string} advice
 * @param {ReturnType<typeof createPaint>} paint
 */
function formatExplanation({ status, reason, ...details }, meaning, advice, paint) {
  const entries = Object.entries(details).map(([name, value]) => [LABELS[name] ?? name, value])
  const width = Math.max(0, ...entries.map(([name]) => name.length)) + 2
  const lines = [
    `${paint(COLOURS[status], status)}: ${reason}, ${meaning}`,
    ...entries.map(([name, value]) => `  ${name.padEnd(width)}${sanitize(JSON.stringify(value))}`),
    `what to do: ${advice}`,
    ...(status === 'unavailable' ? ['`npx authjs-bridge doctor` checks the database.'] : []),
  ]
  return `${lines.join('\n')}\n`
}

module.exports = { explain }
