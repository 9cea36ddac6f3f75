/** So many bytes of a secret in a row, in any spelling, are a find. */
const WINDOW = 8

const escaped = (bytes: Buffer) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0'))
const spellings: Record<string, (bytes: Buffer) => string[]> = {
  plain: (bytes) => [bytes.toString('latin1')],
  'percent-encoded': (bytes) => [
    encodeURIComponent(bytes.toString('latin1')),
    `%${escaped(bytes).join('%')}`,
    `%${escaped(bytes).join('%').toUpperCase()}`,
  ],
  hex: (bytes) => [bytes.toString('hex'), bytes.toString('hex').toUpperCase(), escaped(bytes).join(' ')],
  'a list of bytes': (bytes) => [bytes.join(', '), bytes.join(',')],
  // Wherever it begins among the groups of three; without the characters that its neighbours decide, too.
  base64: (bytes) => [0, 1, 2].flatMap((before) => base64(bytes, before, 'base64')),
  base64url: (bytes) => [0, 1, 2].flatMap((before) => base64(bytes, before, 'base64url')),
}

function base64(bytes: Buffer, before: number, encoding: 'base64' | 'base64url') {
  const text = Buffer.concat([Buffer.alloc(before), bytes])
    .toString(encoding)
    .replaceAll('=', '')
  const whole = Math.floor(((before + bytes.length) * 8) / 6)
  return [text.slice(Math.ceil((before * 8) / 6), whole)]
}

/** Where a text holds a part of a secret, of ASCII: the secrets' names and the spellings. */
export function findSecrets(text: string, secrets: Record<string, string>) {
  // Most is said again and again.
  const lines = [...new Set(text.split('\n'))].join('\n')
  return Object.entries(secrets).flatMap(([name, secret]) => {
    const bytes = Buffer.from(secret)
    const windows = Array.from({ length: bytes.length - WINDOW + 1 }, (_, start) =>
      bytes.subarray(start, start + WINDOW),
    )
    return Object.entries(spellings).flatMap(([spelling, spell]) =>
      windows.some((window) => spell(window).some((needle) => lines.includes(needle))) ? [`${name}, ${spelling}`] : [],
    )
  })
}
