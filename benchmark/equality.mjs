// Asserts before the measurements that all contestants return the same.

import { deepStrictEqual, strictEqual } from 'node:assert'

/**
 * @param {Map<string, import('./contestants/index.mjs').Contestant>} contestants
 * @param {{ cookies: string[], others: Record<string, string> }} requests
 */
export async function assertSameResults(contestants, { cookies, others }) {
  /** @type {Map<string, (object | string)[]>} */
  const resultsByLetter = new Map()
  for (const [letter, contestant] of contestants) {
    // Each request twice and all concurrently, so that batches mix both kinds and contain duplicates.
    const requests = [...cookies, ...Object.values(others)]
    const results = await Promise.all([...requests, ...requests].map((cookie) => contestant.getSession(cookie)))
    const bodies = results.map((body) => (typeof body === 'string' ? JSON.parse(body) : body))
    for (const [index, body] of bodies.entries()) {
      const request = index % requests.length
      const kind = Object.keys(others)[request - cookies.length]
      if (kind) deepStrictEqual(body, {}, `${contestant.name}: ${kind}`)
      else deepStrictEqual(Object.keys(body), ['session_id', 'login_method', 'user'], contestant.name)
    }
    resultsByLetter.set(letter, results)
    const [first = []] = resultsByLetter.values()
    const expected = first.map((body) => (typeof body === 'string' ? JSON.parse(body) : body))
    for (const [index, body] of bodies.entries()) deepStrictEqual(body, expected[index], contestant.name)
  }
  // `getSessionJson` must return the JSON of what `getSession` returns, byte for byte.
  const [objects, texts] = [resultsByLetter.get('f'), resultsByLetter.get('g')]
  for (const [index, body] of objects?.entries() ?? []) {
    if (texts) strictEqual(texts[index], JSON.stringify(body))
  }
}
