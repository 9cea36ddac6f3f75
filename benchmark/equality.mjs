// Before anything is measured: all contestants give the same answers.

import { deepStrictEqual, strictEqual } from 'node:assert'

/**
 * @param {Map<string, import('./contestants/index.mjs').Contestant>} contestants
 * @param {{ cookies: string[], others: Record<string, string> }} requests
 */
export async function assertSameAnswers(contestants, { cookies, others }) {
  /** @type {Map<string, (object | string)[]>} */
  const answers = new Map()
  for (const [letter, contestant] of contestants) {
    // Each twice and all at once: so that batches have both kinds and duplicates in them.
    const requests = [...cookies, ...Object.values(others)]
    const given = await Promise.all([...requests, ...requests].map((cookie) => contestant.getSession(cookie)))
    const bodies = given.map((body) => (typeof body === 'string' ? JSON.parse(body) : body))
    for (const [index, body] of bodies.entries()) {
      const request = index % requests.length
      const kind = Object.keys(others)[request - cookies.length]
      if (kind) deepStrictEqual(body, {}, `${contestant.name}: ${kind}`)
      else deepStrictEqual(Object.keys(body), ['session_id', 'login_method', 'user'], contestant.name)
    }
    answers.set(letter, given)
    const [first = []] = answers.values()
    const expected = first.map((body) => (typeof body === 'string' ? JSON.parse(body) : body))
    for (const [index, body] of bodies.entries()) deepStrictEqual(body, expected[index], contestant.name)
  }
  const [objects, texts] = [answers.get('f'), answers.get('g')]
  for (const [index, body] of objects?.entries() ?? []) {
    if (texts) strictEqual(texts[index], JSON.stringify(body))
  }
}
