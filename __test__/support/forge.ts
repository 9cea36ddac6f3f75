import { createCipheriv, createHash, createHmac, hkdfSync } from 'node:crypto'
import { COOKIE_NAME } from './cookies.mjs'

/** The five parts of a compact JWE: the header as text, the others as bytes. */
export interface Parts {
  header: string
  encryptedKey: Uint8Array
  iv: Uint8Array
  ciphertext: Uint8Array
  tag: Uint8Array
}

const BYTES = { 'A256CBC-HS512': 64, A256GCM: 32 }
export type Enc = keyof typeof BYTES

export const EMPTY = new Uint8Array()

/** The key that Auth.js derives for the cookie `name`, or that next-auth 4 derives for any cookie. */
export function deriveKey(
  secret: string,
  enc: Enc,
  issuer: 'authjs' | 'next-auth-v4' = 'authjs',
  name: string = COOKIE_NAME,
) {
  const [salt, info] =
    issuer === 'authjs'
      ? [name, `Auth.js Generated Encryption Key (${name})`]
      : ['', 'NextAuth.js Generated Encryption Key']
  return new Uint8Array(hkdfSync('sha256', secret, salt, info, BYTES[enc]))
}

export function thumbprint(key: Uint8Array) {
  const jwk = JSON.stringify({ k: Buffer.from(key).toString('base64url'), kty: 'oct' })
  return createHash(`sha${key.length * 8}`)
    .update(jwk)
    .digest('base64url')
}

/** Encrypts a token. The tag is always right, even if `header`, `iv` or `pad` make the token invalid. */
export function seal(
  key: Uint8Array,
  enc: Enc,
  plaintext: Uint8Array,
  parts: { header?: object; iv?: Uint8Array; pad?: boolean } = {},
) {
  const header = JSON.stringify(parts.header ?? { alg: 'dir', enc, kid: thumbprint(key) })
  const aad = Buffer.from(header).toString('base64url')
  if (enc === 'A256GCM') {
    const iv = parts.iv ?? new Uint8Array(12).fill(7)
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(aad))
    const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()])
    return { header, encryptedKey: EMPTY, iv, ciphertext, tag: cipher.getAuthTag() }
  }
  const iv = new Uint8Array(16).fill(7)
  const cipher = createCipheriv('aes-256-cbc', key.subarray(32), iv).setAutoPadding(parts.pad ?? true)
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()])
  const claimedIv = parts.iv ?? iv
  const bits = Buffer.alloc(8)
  bits.writeBigUInt64BE(BigInt(aad.length * 8))
  const mac = createHmac('sha512', key.subarray(0, 32))
  for (const part of [aad, claimedIv, ciphertext, bits]) mac.update(part)
  return { header, encryptedKey: EMPTY, iv: claimedIv, ciphertext, tag: mac.digest().subarray(0, 32) }
}

export function compact({ header, encryptedKey, iv, ciphertext, tag }: Parts) {
  return [Buffer.from(header), encryptedKey, iv, ciphertext, tag]
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.')
}
