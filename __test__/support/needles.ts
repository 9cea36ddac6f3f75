// Searches text for parts of secrets, in several encodings.

/** This many consecutive bytes of a secret count as a part of it. */
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
  // At each offset in a group of three bytes; without the characters that also depend on neighbouring bytes.
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

/** The names of the ASCII secrets of which the text contains a part, each with the encoding. */
export function findSecrets(text: string, secrets: Record<string, string>) {
  const needles = needlesByStart(secrets)
  const found = new Set<string>()
  // One pass over the text, however many needles there are.
  for (let place = 0; place + WINDOW <= text.length; place++) {
    for (const { needle, name } of needles.get(text.slice(place, place + WINDOW)) ?? []) {
      if (text.startsWith(needle, place)) found.add(name)
    }
  }
  return [...found]
}

/** Every part of every secret in every encoding, by its first characters. */
function needlesByStart(secrets: Record<string, string>) {
  const needles = new Map<string, { needle: string; name: string }[]>()
  for (const [secret, value] of Object.entries(secrets)) {
    const bytes = Buffer.from(value)
    for (let start = 0; start + WINDOW <= bytes.length; start++) {
      const part = bytes.subarray(start, start + WINDOW)
      for (const [spelling, spell] of Object.entries(spellings)) {
        for (const needle of spell(part)) {
          const beginning = needle.slice(0, WINDOW)
          const same = needles.get(beginning) ?? []
          needles.set(beginning, [...same, { needle, name: `${secret}, ${spelling}` }])
        }
      }
    }
  }
  return needles
}
