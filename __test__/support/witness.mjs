// Goes ways that fail, and prints all that this package says on each: errors with every property, statistics, explanations,
// warnings. `secrets.spec.ts` searches it. Reads the ways from a file, as JSON; prints a line for each, and what was said.

import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { AuthBridge, explainSession, getSession } from '../../index.js'
import { createSessionRoute } from '../../next/index.js'
import { forgetVariables } from './variables.mjs'

/**
 * @typedef {object} Way
 * @property {string} name
 * @property {Record<string, string>} [env] without `options` the module's own functions are asked
 * @property {Record<string, any>} [options] of `new AuthBridge`
 * @property {any} [header] of the request, or what is passed for one
 * @property {number} [calls] at once, 1 by default
 * @property {boolean} [closed] whether the bridge is closed before it is asked
 */

/** @param {Way} way @param {Set<string>} outcomes */
async function go({ env = {}, options, header, calls = 1, closed = false }, outcomes) {
  /** @param {() => any} call */
  async function attempt(call) {
    try {
      return await call()
    } catch (error) {
      say(error)
      outcomes.add(/** @type {{ code: string }} */ (error).code)
    }
  }

  forgetVariables()
  Object.assign(process.env, env)
  const bridge = options && (await attempt(() => new AuthBridge(options)))
  if (options && !bridge) return
  const asked = bridge ? methods(bridge) : MODULE
  if (closed) await asked.close()
  const request = new Request('http://localhost/', { headers: header ? { cookie: header } : {} })
  const each = [() => asked.getSession(header), () => asked.explainSession(header), () => asked.route.GET(request)]
  const all = [...each, asked.health].flatMap((call) => Array.from({ length: calls }, () => attempt(call)))
  const answers = await Promise.all(all)
  for (const answer of answers) {
    if (answer?.reason) outcomes.add(answer.reason)
    // A session is for the app to see.
    if (!answer?.user) say(answer instanceof Response && answer.status === 200 ? answer.status : answer)
  }
  say(await attempt(asked.stats))
  say(bridge)
  await attempt(asked.close)
}

/** The module's own functions, for which nothing was configured. */
const MODULE = {
  getSession,
  explainSession,
  route: createSessionRoute(),
  health() {},
  stats() {},
  close() {},
}

/** @param {AuthBridge} bridge */
function methods(bridge) {
  return {
    getSession: (/** @type {any} */ header) => bridge.getSession(header),
    explainSession: (/** @type {any} */ header) => bridge.explainSession(header),
    route: createSessionRoute({ bridge }),
    health: () => bridge.health(),
    stats: () => bridge.stats(),
    close: () => bridge.close(),
  }
}

/** @param {unknown} value */
function say(value) {
  console.log(value)
  console.log(inspect(value, { showHidden: true, depth: null, getters: true }))
  console.log(String(value), JSON.stringify(value))
  const isObject = typeof value === 'object' && value !== null
  for (let part = isObject ? value : null; part !== null; part = Object.getPrototypeOf(part)) {
    for (const key of Reflect.ownKeys(part)) console.log(key, inspect(Reflect.get(part, key, value), { depth: null }))
  }
  if (value instanceof Error && value.cause !== undefined) say(value.cause)
}

process.on('warning', say)
for (const way of /** @type {Way[]} */ (JSON.parse(readFileSync(process.argv[2], 'utf8')))) {
  const outcomes = new Set()
  await go(way, outcomes)
  console.log(`WAY ${JSON.stringify({ name: way.name, outcomes: [...outcomes] })}`)
}
