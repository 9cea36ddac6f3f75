// Colours text, and makes untrusted text safe to print.

const { inspect } = require('node:util')

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

/**
 * Cuts text to `MAX_LENGTH` and replaces control characters, line breaks and bidirectional controls by spaces. Messages of
 * the database server and text in its rows are untrusted: escape sequences in them could control the terminal.
 *
 * @param {string} text
 */
function sanitize(text) {
  return text.slice(0, MAX_LENGTH).replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+/gu, ' ')
}

module.exports = { createPaint, sanitize }
