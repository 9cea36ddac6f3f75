import { execFileSync } from 'node:child_process'

/** The names of a binary's dynamic symbols, with their versions. */
export function dynamicSymbols(binary: string, which: '--defined-only' | '--undefined-only') {
  const listing = execFileSync('nm', ['--dynamic', which, binary], { encoding: 'utf8' })
  const lines = listing.trim().split('\n')
  return lines.map((line) => line.split(/\s+/).at(-1) ?? '')
}

export const OF_OPENSSL = /^(AES|BIO|CRYPTO|ERR|EVP|HMAC|OPENSSL|OSSL|SSL|X509)_/
