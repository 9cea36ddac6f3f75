// `authjs-bridge explain`: why the request of a cookie header has or has no session.

const { createInterface } = require('node:readline')
const { text: readAll } = require('node:stream/consumers')
const { Writable } = require('node:stream')
const { REASONS } = require('./advice.js')
const { loadEnvironment } = require('./environment.js')
const { native } = require('./native.js')
const { painter, plain } = require('./terminal.js')
const { UsageError } = require('./usage-error.js')

/** @typedef {import('../index.js').SessionExplanation} SessionExplanation */

/** @type {Record<SessionExplanation['status'], string>} */
const COLOURS = { authenticated: 'green', unauthenticated: 'yellow', unavailable: 'red' }
const INTERRUPTED = 130

/** @param {{ json: boolean, production: boolean }} options */
async function explain({ json, production }) {
  const { explainSession } = native()
  loadEnvironment(process.cwd(), { production })
  const header = cookieHeader(process.stdin.isTTY ? await ask() : await readAll(process.stdin))
  const explanation = await explainSession(header)
  const { meaning, advice } = REASONS[explanation.reason]
  process.stdout.write(
    json
      ? `${JSON.stringify({ ...explanation, advice }, null, 2)}\n`
      : text(explanation, meaning, advice, painter(process.stdout)),
  )
  return explanation.status === 'unavailable' ? 1 : 0
}

/** The value of the header, as a person copies it. @param {string} input */
function cookieHeader(input) {
  const line = input.trim()
  if (line === '') throw new UsageError('standard input is empty; pass the Cookie header of a request')
  if (/[\r\n]/.test(line)) throw new UsageError('standard input has more than one line; pass the Cookie header alone')
  return line.replace(/^cookie:\s*/i, '')
}

/**
 * One line of the terminal, which does not show it. Its own lines end after 4096 bytes, and a header can be longer: so
 * each key is read as it comes.
 *
 * @returns {Promise<string>}
 */
function ask() {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input: process.stdin, output: nowhere, terminal: true })
  process.stderr.write('The Cookie header, which is not shown: ')
  return new Promise((resolve) => {
    terminal.once('SIGINT', () => process.exit(INTERRUPTED))
    terminal.once('close', () => resolve(''))
    terminal.once('line', (line) => {
      resolve(line)
      terminal.close()
    })
  }).finally(() => process.stderr.write('\n'))
}

/**
 * @param {SessionExplanation} explanation
 * @param {string} meaning
 * @param {string} advice
 * @param {ReturnType<typeof painter>} paint
 */
function text({ status, reason, ...details }, meaning, advice, paint) {
  const entries = Object.entries(details)
  const width = Math.max(0, ...entries.map(([name]) => name.length)) + 2
  const lines = [
    `${paint(COLOURS[status], status)}: ${reason}, ${meaning}`,
    ...entries.map(([name, value]) => `  ${name.padEnd(width)}${plain(JSON.stringify(value))}`),
    `what to do: ${advice}`,
    ...(status === 'unavailable' ? ['`npx authjs-bridge doctor` looks into the database.'] : []),
  ]
  return `${lines.join('\n')}\n`
}

module.exports = { explain }
