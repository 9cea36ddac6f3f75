// Colours text, makes untrusted text safe to print, and reads lines.

const { createInterface } = require('node:readline')
const { Writable } = require('node:stream')
const { inspect } = require('node:util')

/** By convention 128 + the number of SIGINT. */
const SIGINT_EXIT_CODE = 130

/**
 * Returns a function that colours text if the stream is a terminal. FORCE_COLOR and NO_COLOR work as in Node.js.
 *
 * @param {NodeJS.WriteStream} stream
 * @returns {(colour: string, text: string) => string}
 */
function createPaint(stream, { FORCE_COLOR, NO_COLOR, TERM } = process.env) {
  const isColoured =
    FORCE_COLOR === undefined ? stream.isTTY && !NO_COLOR && TERM !== 'dumb' : !/^(0|false)$/.test(FORCE_COLOR)
  if (!isColoured) return (_, text) => text
  return (colour, text) => {
    const [on, off] = inspect.colors[colour] ?? [0, 0]
    return `\u001b[${on}m${text}\u001b[${off}m`
  }
}

const MAX_LENGTH = 2000
const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu

/**
 * Cuts text to `MAX_LENGTH` and replaces control characters, line breaks and bidirectional controls by spaces. Messages of
 * the database server and text in its rows are untrusted: escape sequences in them could control the terminal.
 *
 * @param {string} text
 */
function sanitize(text) {
  return text.slice(0, MAX_LENGTH).replace(new RegExp(`${UNSAFE.source}+`, 'gu'), ' ')
}

/**
 * A value as JSON on several lines. `JSON.stringify` leaves some characters as they are that could control the terminal.
 *
 * @param {unknown} value
 */
function formatJson(value) {
  const escaped = (/** @type {string} */ unsafe) =>
    // The only one that `JSON.stringify` writes itself.
    unsafe === '\n' ? unsafe : `\\u${unsafe.charCodeAt(0).toString(16).padStart(4, '0')}`
  return `${JSON.stringify(value, null, 2).replace(UNSAFE, escaped)}\n`
}

/**
 * Prompts for one line on the terminal; empty if the input ends. Uses raw mode (`terminal: true`): a terminal in line mode
 * cuts lines at 4096 bytes, and a header can be longer.
 *
 * @param {string} prompt
 * @param {{ isHidden?: boolean }} [options] hidden is what is not echoed
 * @returns {Promise<string>}
 */
function readLine(prompt, { isHidden = false } = {}) {
  const discard = new Writable({ write: (_chunk, _encoding, done) => done() })
  const output = isHidden ? discard : process.stderr
  const terminal = createInterface({ input: process.stdin, output, prompt, terminal: true })
  if (isHidden) process.stderr.write(prompt)
  else terminal.prompt()
  return new Promise((resolve) => {
    let isOnNextLine = false
    terminal.once('SIGINT', () => process.exit(SIGINT_EXIT_CODE))
    terminal.once('close', () => {
      if (!isOnNextLine) process.stderr.write('\n')
      resolve('')
    })
    terminal.once('line', (line) => {
      isOnNextLine = !isHidden
      resolve(line)
      terminal.close()
    })
  })
}

module.exports = { createPaint, formatJson, readLine, sanitize }
