// A search for the header that takes longest: changes headers of random pieces, and keeps what takes longer.

import { COOKIE_NAME } from '../__test__/support/cookies.mjs'
import { chunks, damagedHeaders, forgeToken, percentEncode, protectedHeaders } from './headers.mjs'
import { SECRET } from './seed.mjs'

const MAX_HEADER_BYTES = 64 * 1024
const MOST_PIECES = 6
/** After so many changes in vain it begins anew. */
const PATIENCE = 60
/** The fastest of so many calls counts, since noise only adds. */
const CALLS = 7

/** What a piece repeats. */
const UNITS = [
  ...['a=;', ';', '=', ' ', '\t;', '%', '%4', '%41', '%FF', '%;', 'é', '€', 'x'],
  ...[`${COOKIE_NAME}=;`, `${COOKIE_NAME}.0=;`, `${COOKIE_NAME}.x=;`, `${COOKIE_NAME} ;`, `${COOKIE_NAME}`],
  ...[COOKIE_NAME.slice(0, -1), COOKIE_NAME.slice(1), 'ion-tok', '-', 's-', '-t'],
]
const PROTECTED = Object.values(protectedHeaders(SECRET))

/** @typedef {{ form: number, choice: number, bytes: number }} Piece */

/** @type {((piece: Piece) => string)[]} */
const FORMS = [
  ({ choice, bytes }) => repeated(UNITS, choice, bytes),
  ({ choice, bytes }) => `${COOKIE_NAME}=${repeated(UNITS, choice, bytes)};`,
  ({ choice, bytes }) => `${COOKIE_NAME}=${forged(choice, bytes)};`,
  ({ choice, bytes }) => `${COOKIE_NAME}=${percentEncode(forged(choice, bytes / 3))};`,
  ({ choice, bytes }) => `${chunks(forged(choice, bytes))};`,
  ({ choice, bytes }) => `${chunks(percentEncode(forged(choice, bytes / 3)))};`,
  ({ choice, bytes }) => `${chunks('A'.repeat(bytes / (25 + (choice % 40))), 1 + (choice % 40))};`,
  ({ choice, bytes }) => manyChunks(['', 'A', '%41', '%'][choice % 4] ?? '', bytes),
]

/**
 * @param {(header: string) => void} call
 * @param {{ seconds: number }} options
 */
export function searchWorst(call, { seconds }) {
  const known = Math.max(...Object.values(damagedHeaders(SECRET)).map((header) => time(call, header)))
  let worst = { pieces: /** @type {Piece[]} */ ([]), us: 0 }
  let current = worst
  let vain = 0
  let tried = 0
  for (const end = Date.now() + seconds * 1000; Date.now() < end; tried++) {
    const pieces = vain > PATIENCE ? [randomPiece()] : changed(current.pieces)
    const us = time(call, compose(pieces))
    const isBetter = us > current.us || vain > PATIENCE
    if (isBetter) current = { pieces, us }
    vain = isBetter ? 0 : vain + 1
    if (current.us > worst.us) worst = current
  }
  // Once more, since the greatest of many has some luck in it.
  const us = time(call, compose(worst.pieces), 5 * CALLS)
  return { tried, us, times: us / known, pieces: worst.pieces }
}

/** In µs. @param {(header: string) => void} call @param {string} header */
function time(call, header, calls = CALLS) {
  const times = Array.from({ length: calls }, () => {
    const start = performance.now()
    call(header)
    return 1000 * (performance.now() - start)
  })
  return Math.min(...times)
}

/** @param {Piece[]} pieces */
function compose(pieces) {
  const text = pieces.map((piece) => FORMS[piece.form]?.(piece)).join('')
  // Beyond ASCII it would be too long, and cost nothing.
  return Buffer.from(text)
    .subarray(0, MAX_HEADER_BYTES)
    .toString()
    .replace(/\uFFFD+$/, '')
}

/** @param {Piece[]} pieces */
function changed(pieces) {
  const place = Math.floor(Math.random() * (pieces.length + 1))
  const [before, after] = [pieces.slice(0, place), pieces.slice(place + 1)]
  const old = pieces[place]
  if (old === undefined || Math.random() < 0.3)
    return [...before, randomPiece(), ...pieces.slice(place)].slice(0, MOST_PIECES)
  if (Math.random() < 0.2) return [...before, ...after]
  return [
    ...before,
    { ...old, ...pick([{ form: random(FORMS.length) }, { choice: random(1000) }, { bytes: size() }]) },
    ...after,
  ]
}

function randomPiece() {
  return { form: random(FORMS.length), choice: random(1000), bytes: size() }
}

function size() {
  return pick([100, 2_000, 20_000, 32_600, 32_760, 48_000, 65_500]) + random(100)
}

/** @param {string[]} units @param {number} choice @param {number} bytes */
function repeated(units, choice, bytes) {
  const unit = units[choice % units.length] ?? ''
  return unit.repeat(bytes / Buffer.byteLength(unit))
}

/** @param {number} choice @param {number} bytes */
function forged(choice, bytes) {
  return forgeToken(PROTECTED[choice % PROTECTED.length] ?? '', bytes)
}

/** Out of order. @param {string} value @param {number} bytes */
function manyChunks(value, bytes) {
  const count = Math.floor(bytes / `${COOKIE_NAME}.0000=${value};`.length)
  return Array.from({ length: count }, (_, index) => `${COOKIE_NAME}.${(index * 997) % count}=${value};`).join('')
}

/** @param {number} below */
function random(below) {
  return Math.floor(Math.random() * below)
}

/** @template T @param {T[]} list @returns {T} */
function pick(list) {
  return /** @type {T} */ (list[random(list.length)])
}
