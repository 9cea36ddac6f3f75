// Decrypts the token of a Cookie header, with jose, and with node:crypto alone, which is the fastest way we know in JavaScript.

import { createDecipheriv, createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { jwtDecrypt } from 'jose'
import { COOKIE_NAME } from '../__test__/support/cookies.mjs'

/** @typedef {import('./body.mjs').Claims} Claims */

const CLOCK_TOLERANCE_SECONDS = 15
const MAX_TOKEN_LENGTH = 32_768

/** The key for `A256CBC-HS512`. @param {string} secret */
export function deriveKey(secret) {
  return Buffer.from(hkdfSync('sha256', secret, COOKIE_NAME, `Auth.js Generated Encryption Key (${COOKIE_NAME})`, 64))
}

/** The value of the first session cookie; `''` if there is none. @param {string} cookieHeader */
function sessionToken(cookieHeader) {
  const name = `${COOKIE_NAME}=`
  let start = 0
  while (!cookieHeader.startsWith(name, start)) {
    start = cookieHeader.indexOf('; ', start) + 2
    if (start === 1) return ''
  }
  const end = cookieHeader.indexOf(';', start)
  return cookieHeader.slice(start + name.length, end === -1 ? undefined : end)
}

/** @param {string} secret @returns {(cookieHeader: string) => Promise<Claims | null>} */
export function joseOpener(secret) {
  const key = deriveKey(secret)
  const options = {
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    keyManagementAlgorithms: ['dir'],
    contentEncryptionAlgorithms: ['A256CBC-HS512'],
    requiredClaims: ['exp'],
  }
  return async (cookieHeader) => {
    try {
      return (await jwtDecrypt(sessionToken(cookieHeader), key, options)).payload
    } catch {
      return null
    }
  }
}

/** RFC 7518 section 5.2.2.2. @param {string} secret @returns {(cookieHeader: string) => Claims | null} */
export function cryptoOpener(secret) {
  const key = deriveKey(secret)
  const macKey = key.subarray(0, 32)
  const encryptionKey = key.subarray(32)
  // Auth.js writes the same protected header into every token, so comparing text saves parsing it.
  const jwk = JSON.stringify({ k: key.toString('base64url'), kty: 'oct' })
  const kid = createHash('sha512').update(jwk).digest('base64url')
  const header = JSON.stringify({ alg: 'dir', enc: 'A256CBC-HS512', kid })
  const aad = Buffer.from(Buffer.from(header).toString('base64url'))
  const prefix = `${aad}..`
  const aadBits = Buffer.alloc(8)
  aadBits.writeBigUInt64BE(BigInt(aad.length * 8))

  // The input of the tag in one buffer: AAD, initialisation vector, ciphertext, length of the AAD in bits.
  const scratch = Buffer.alloc(MAX_TOKEN_LENGTH + aad.length)
  const [ivStart, ciphertextStart] = [aad.copy(scratch), aad.length + 16]

  return (cookieHeader) => {
    const token = sessionToken(cookieHeader)
    if (!token.startsWith(prefix) || token.length > MAX_TOKEN_LENGTH) return null
    const ivEnd = token.indexOf('.', prefix.length)
    const ciphertextEnd = token.indexOf('.', ivEnd + 1)
    if (ivEnd - prefix.length !== 22 || ciphertextEnd === -1) return null
    const tag = Buffer.from(token.slice(ciphertextEnd + 1), 'base64url')
    const ivBytes = scratch.write(token.slice(prefix.length, ivEnd), ivStart, 'base64url')
    if (ivBytes !== 16) return null
    const end = ciphertextStart + scratch.write(token.slice(ivEnd + 1, ciphertextEnd), ciphertextStart, 'base64url')
    const authenticated = scratch.subarray(0, end + aadBits.copy(scratch, end))
    const mac = createHmac('sha512', macKey).update(authenticated).digest()
    if (tag.length !== 32 || !timingSafeEqual(mac.subarray(0, 32), tag)) return null

    const decipher = createDecipheriv('aes-256-cbc', encryptionKey, scratch.subarray(ivStart, ciphertextStart))
    // The tag is right, so the padding is, too: cutting it off here saves `final` and a copy.
    const padded = decipher.setAutoPadding(false).update(scratch.subarray(ciphertextStart, end))
    const claims = JSON.parse(padded.toString('utf8', 0, padded.length - (padded.at(-1) ?? 0)))
    return claims.exp > Date.now() / 1000 - CLOCK_TOLERANCE_SECONDS ? claims : null
  }
}
