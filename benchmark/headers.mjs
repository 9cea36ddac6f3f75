// The most expensive `Cookie` headers that we know of and that a client can make without a key. Their bytes are always the
// same, so that instruction counts can be compared.

import { createHash } from 'node:crypto'
import { COOKIE_NAME } from '../__test__/support/cookies.mjs'
import { deriveKey } from './open-token.mjs'

const MAX_HEADER_BYTES = 64 * 1024
const MAX_TOKEN_BYTES = 32 * 1024
/** The largest token that fits into a header twice, once whole and once in chunks. */
const HALF_BYTES = 32_600
/** The chunk size of Auth.js. */
const CHUNK_BYTES = 3936

/** @param {string} secret */
function protectedHeaders(secret) {
  const dir = { alg: 'dir', enc: 'A256CBC-HS512' }
  const jwk = (/** @type {string} */ secret) =>
    JSON.stringify({ k: deriveKey(secret).toString('base64url'), kty: 'oct' })
  const kid = (/** @type {string} */ secret) => createHash('sha512').update(jwk(secret)).digest('base64url')
  // As many as fit into the largest header that is read.
  const fields = Object.fromEntries(Array.from({ length: 170 }, (_, index) => [index.toString(36), 1]))
  return {
    knownKid: encode({ ...dir, kid: kid(secret) }),
    unknownKid: encode({ ...dir, kid: kid('another secret') }),
    noKid: encode(dir),
    gcm: encode({ ...dir, enc: 'A256GCM' }),
    manyFields: encode({ ...dir, kid: kid(secret), ...fields }),
  }
}

/** @param {string} secret @returns {Record<string, string>} headers by their defect; the keys are in the recorded results */
export function damagedHeaders(secret) {
  const { knownKid, unknownKid, noKid, gcm, manyFields } = protectedHeaders(secret)
  const wrongTag = forgeToken(knownKid, MAX_TOKEN_BYTES)
  const start = `${COOKIE_NAME}=`
  return {
    'wrong tag': whole(wrongTag),
    'wrong tag, twice': twice(forgeToken(knownKid, HALF_BYTES)),
    'wrong tag, no kid': whole(forgeToken(noKid, MAX_TOKEN_BYTES)),
    'wrong tag, no kid, twice': twice(forgeToken(noKid, HALF_BYTES)),
    'wrong tag, GCM': whole(forgeToken(gcm, MAX_TOKEN_BYTES)),
    'wrong tag, percent-encoded': whole(percentEncode(forgeToken(knownKid, 21_800))),
    'wrong tag, chunks of one byte': chunks(forgeToken(knownKid, 2_200), 1),
    'wrong tag, many fields in the header': whole(forgeToken(manyFields, MAX_TOKEN_BYTES)),
    'wrong tag, many fields in the header, twice': twice(forgeToken(manyFields, HALF_BYTES)),
    'unknown kid': whole(forgeToken(unknownKid, MAX_TOKEN_BYTES)),
    'no base64url at the end of the ciphertext': whole(wrongTag.replace(/A(?=\.A*$)/, '!')),
    'no base64url at the end': whole(`${wrongTag.slice(0, -1)}!`),
    'no token': whole('x'.repeat(MAX_TOKEN_BYTES)),
    'token too long by a byte': whole('x'.repeat(MAX_TOKEN_BYTES + 1)),
    'tiny cookies': fill('a=;'),
    semicolons: fill(';'),
    'near names': fill(`${COOKIE_NAME}.x=;`),
    'start of the name': fill(COOKIE_NAME.slice(0, -1)),
    'the same name again and again': fill(`${COOKIE_NAME}=;`),
    'the same chunk again and again': fill(`${COOKIE_NAME}.0=;`),
    'many chunks': scattered('x'),
    'many chunks, percent-encoded': scattered('%41'),
    'percent signs': fill('%', start),
    'percent-encoded text': fill('%41', start),
    'percent-encoded, no UTF-8': fill('%FF', start),
    'two bytes a character': fill('é', start),
    'three bytes a character': fill('€', start),
    'header too long by a byte': `${fill('x', start)}x`,
    'header of 16 MiB': start.padEnd(16 * 1024 * 1024, 'x'),
  }
}

/** A token with this protected header and zeros for all else. @param {string} header @param {number} maxBytes */
function forgeToken(header, maxBytes) {
  const [iv, tag] = header === encode({ alg: 'dir', enc: 'A256GCM' }) ? [12, 16] : [16, 32]
  const [ivText, tagText] = [iv, tag].map((bytes) => Buffer.alloc(bytes).toString('base64url'))
  const room = maxBytes - `${header}..${ivText}..${tagText}`.length
  const blocks = Math.max(1, Math.floor((room * 3) / 4 / 16))
  return [header, '', ivText, Buffer.alloc(16 * blocks).toString('base64url'), tagText].join('.')
}

/** A value as chunk cookies. @param {string} value @param {number} size in characters */
function chunks(value, size = CHUNK_BYTES) {
  const values = value.match(new RegExp(`.{1,${size}}`, 'g')) ?? []
  return values.map((chunk, index) => `${COOKIE_NAME}.${index}=${chunk}`).join(';')
}

/** @param {string} text */
function percentEncode(text) {
  return text.replace(/./g, (character) => `%${character.charCodeAt(0).toString(16)}`)
}

/** A header of the maximal size. @param {string} unit repeated to the end @param {string} start */
function fill(unit, start = '') {
  return start + unit.repeat((MAX_HEADER_BYTES - start.length) / Buffer.byteLength(unit))
}

/** The session cookie, and another one that fills the header. @param {string} value */
function whole(value) {
  return fill('x', `${COOKIE_NAME}=${value}; a=`)
}

/** The token as a whole cookie and as chunks, so that both are tried. @param {string} token */
function twice(token) {
  return `${COOKIE_NAME}=${token};${chunks(token)}`
}

/** Chunks in an order in which no two neighbours follow each other. @param {string} value */
function scattered(value) {
  const count = Math.floor(MAX_HEADER_BYTES / `${COOKIE_NAME}.0000=${value};`.length)
  return Array.from({ length: count }, (_, index) => `${COOKIE_NAME}.${(index * 997) % count}=${value}`).join(';')
}

/** @param {object} header */
function encode(header) {
  return Buffer.from(JSON.stringify(header)).toString('base64url')
}
