// Runs scenarios and prints everything that this package outputs in them: errors with all properties, statistics,
// explanations, warnings. `secrets.spec.ts` searches the output. Reads the scenarios from a JSON file, whose path is the first
// argument; prints a line with the outcomes of each.

import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import * as authBridge from '../../index.js'
import { createSessions, route } from '../../next/index.js'
import { unsetVariables } from './variables.mjs'

const OWNER = { tenant: '5b0b0b7e-3f0e-4c0e-8d66-222222222222', userId: '5b0b0b7e-3f0e-4c0e-8d66-333333333333' }

/**
 * @typedef {object} Scenario
 * @property {string} name
 * @property {Record<string, string>} [env] environment variables
 * @property {Record<string, any>} [options] of `new AuthBridge`; without them the module's own functions are called
 * @property {any} [header] the cookie header, or a wrong argument in its place
 * @property {string} [claim] the value of claims that are changed
 * @property {number} [calls] concurrent calls of each method, 1 by default
 * @property {boolean} [closed] whether the bridge is closed before the calls
 */

/** @param {Scenario} scenario @param {Set<string>} outcomes */
async function runScenario({ env = {}, options, header, claim, calls = 1, closed = false }, outcomes) {
  /** @param {() => any} call */
  async function attempt(call) {
    try {
      return await call()
    } catch (error) {
      print(error)
      outcomes.add(/** @type {{ code: string }} */ (error).code)
    }
  }

  unsetVariables()
  Object.assign(process.env, env)
  const bridge = options && (await attempt(() => new authBridge.AuthBridge(options)))
  if (options && !bridge) return
  const api = bridge ? methods(bridge) : MODULE
  if (closed) await api.close()
  const request = new Request('http://localhost/', { headers: header ? { cookie: header } : {} })
  const claims = { plan: claim }
  const described = { loginMethod: claim, ipAddress: claim, userAgent: claim }
  const methodCalls = [
    () => api.getSession(header),
    () => api.explainSession(header),
    () => api.route.GET(request),
    () => api.refreshSession(header, { claims: () => claims }),
    () => api.refreshSession(header, { claims: () => ({ ...claims, sub: claim }) }),
    () => api.updateSession(header, claims),
    () => api.updateSession(header, { ...claims, lost: undefined }),
    () => api.createSession({ ...OWNER, ...described, maxSessions: 1, whenFull: 'refuse' }),
    () => api.createSession({ ...OWNER, ...described, maxSessions: 1, whenFull: 'refuse' }),
    () => api.createSession({ ...OWNER, columns: { updated_at: claim } }),
    () => api.revokeSession({ ...OWNER, sessionId: claim, reason: claim }),
    () => api.sealSession({ ...claims }),
  ]
  const all = [...methodCalls, api.health].flatMap((call) => Array.from({ length: calls }, () => attempt(call)))
  const results = await Promise.all(all)
  for (const result of results) {
    if (result?.reason) outcomes.add(result.reason)
    // A session may contain the claims, and a refreshed one has the cookies.
    if (!result?.user && !result?.setCookie)
      print(result instanceof Response && result.status === 200 ? result.status : result)
  }
  print(await attempt(api.stats))
  print(bridge)
  await attempt(api.close)
}

/** The module's own functions, in place of the methods of a bridge. @type {any} */
const MODULE = { ...authBridge, route: route(), health() {}, stats() {}, close() {} }

/** @param {authBridge.AuthBridge} bridge @returns {any} */
function methods(bridge) {
  const call =
    (/** @type {string} */ name) =>
    (/** @type {any[]} */ ...args) =>
      /** @type {any} */ (bridge)[name](...args)
  return new Proxy(
    { route: createSessions({ bridge }).route() },
    { get: (own, name) => (name === 'route' ? own.route : call(String(name))) },
  )
}

/** Prints a value in every way that might show a property. @param {unknown} value */
function print(value) {
  console.log(value)
  console.log(inspect(value, { showHidden: true, depth: null, getters: true }))
  console.log(String(value), JSON.stringify(value))
  const isObject = typeof value === 'object' && value !== null
  for (let part = isObject ? value : null; part !== null; part = Object.getPrototypeOf(part)) {
    for (const key of Reflect.ownKeys(part)) console.log(key, inspect(Reflect.get(part, key, value), { depth: null }))
  }
  if (value instanceof Error && value.cause !== undefined) print(value.cause)
}

process.on('warning', print)
for (const scenario of /** @type {Scenario[]} */ (JSON.parse(readFileSync(process.argv[2], 'utf8')))) {
  const outcomes = new Set()
  await runScenario(scenario, outcomes)
  console.log(`SCENARIO ${JSON.stringify({ name: scenario.name, outcomes: [...outcomes] })}`)
}
