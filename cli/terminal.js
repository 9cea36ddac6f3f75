// What may go to a terminal, and in which colours.

const { inspect } = require('node:util')

/**
 * Colours text if the stream is a terminal. FORCE_COLOR and NO_COLOR count as they do for Node.js.
 *
 * @param {NodeJS.WriteStream} stream
 * @returns {(colour: string, text: string) => string}
 */
function painter(stream, { FORCE_COLOR, NO_COLOR, TERM } = process.env) {
  const isWanted =
    FORCE_COLOR === undefined ? stream.isTTY && !NO_COLOR && TERM !== 'dumb' : !/^(0|false)$/.test(FORCE_COLOR)
  if (!isWanted) return (_, text) => text
  return (colour, text) => {
    const [on, off] = inspect.colors[colour] ?? [0, 0]
    return `\u001b[${on}m${text}\u001b[${off}m`
  }
}

const LONGEST = 2000

/**
 * Without what a terminal would obey, and without end: a server's words and a row's remark may hold anything.
 *
 * @param {string} text
 */
function plain(text) {
  return text.slice(0, LONGEST).replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+/gu, ' ')
}

module.exports = { painter, plain }
