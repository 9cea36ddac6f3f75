// What an app does with the package, with nothing but what each runtime and platform has. Prints the results as JSON.
//
//   main-job.mjs [--without-server]

import { once } from 'node:events'
import { createServer } from 'node:http'
import process from 'node:process'
import { Worker } from 'node:worker_threads'
import { AuthBridge, defaultBridge, getSession, getSessionJson, versions } from 'authjs-bridge'

/**
 * @typedef {object} Input
 * @property {string} secret
 * @property {string} databaseUrl
 * @property {string} tlsUrl with `verify-full`
 * @property {string} ca the certificate that it needs
 * @property {{ live: string, revoked: string, due: string, v4: string }} cookies
 * @property {{ tenant: string, userId: string }} owner
 */
/** @type {Input} */
const { secret, databaseUrl, tlsUrl, ca, cookies, owner } = JSON.parse(process.env.MAIN_JOB ?? '{}')
const { live, revoked, due, v4 } = cookies
const options = { secret, databaseUrl, secureCookie: false }

/** The code that a function throws or rejects with. @param {() => unknown} act */
async function codeOf(act) {
  try {
    await act()
    return 'none'
  } catch (error) {
    return /** @type {{ code?: string }} */ (error).code ?? String(error)
  }
}

async function readsAndWrites() {
  const bridge = new AuthBridge(options)
  const { session, setCookie } = await bridge.refreshSession(due, {
    claims: ({ user }) => ({ plan: `pro of ${user?.id}` }),
  })
  const [rolled = ''] = setCookie.map((line) => line.split(';')[0])
  const updated = await bridge.updateSession(rolled, { plan: 'free' })
  const started = { ...owner, userAgent: 'x', columns: { device_fingerprint: 'f' } }
  const { sessionId } = await bridge.createSession(started)
  const listed = await bridge.listSessions({ ...owner, current: sessionId })
  const ended = await bridge.revokeSession({ ...owner, sessionId })
  const many = await Promise.all(Array.from({ length: 200 }, () => bridge.getSession(live)))
  const { reason } = await bridge.explainSession(revoked)
  const result = {
    refreshed: session.user?.plan,
    updated: updated.updated,
    current: listed.filter((each) => each.current).map((each) => each.sessionId === sessionId),
    ended,
    many: many.filter((body) => 'session_id' in body).length,
    reason,
    healthy: (await bridge.health()).milliseconds > 0,
  }
  await bridge.close()
  return { ...result, closed: await codeOf(() => bridge.getSession(live)) }
}

async function errors() {
  const nobody = new AuthBridge({ ...options, databaseUrl: 'postgres://nobody@127.0.0.1:1/nothing' })
  return {
    option: await codeOf(() => new AuthBridge({ ...options, databaseUrl: 'mysql://host/database' })),
    // @ts-expect-error not a header
    argument: await codeOf(() => getSession(7)),
    outage: await codeOf(() => nobody.getSession(live)),
    ofClient: await nobody.getSession('authjs.session-token=x.y.z'),
  }
}

async function others() {
  const encrypted = new AuthBridge({ ...options, databaseUrl: tlsUrl, tls: { ca } })
  const ofV4 = new AuthBridge({ secret, databaseUrl, cookieName: 'next-auth.session-token' })
  const results = {
    v4: 'session_id' in (await ofV4.getSession(v4)),
    encrypted: (await encrypted.getSession(live)).session_id,
  }
  await Promise.all([encrypted.close(), ofV4.close()])
  return results
}

/** A server that forwards the body. */
async function server() {
  const server = createServer(async (request, response) => {
    response.setHeader('Content-Type', 'application/json').end(await getSessionJson(request.headers.cookie))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  const ask = async (/** @type {string} */ cookie) =>
    (await fetch(`http://127.0.0.1:${port}`, { headers: { cookie } })).json()
  const bodies = [await ask(live), await ask(revoked)]
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  return bodies
}

async function caching() {
  const url = new URL(databaseUrl)
  const password = decodeURIComponent(url.password)
  url.password = ''
  let asked = 0
  const bridge = new AuthBridge({
    ...options,
    ...{ databaseUrl: url.href, maxStaleness: 60_000, listen: true },
    password: async () => {
      asked += 1
      return password
    },
  })
  await bridge.getSession(live)
  for (let tries = 0; tries < 500 && !bridge.stats().listener?.listening; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  for (let call = 0; call < 2; call++) await bridge.getSession(live)
  const { cache, listener } = bridge.stats()
  await bridge.close()
  return { hits: cache.hits > 0, listening: listener?.listening, passwords: asked }
}

function inWorker() {
  const worker = new Worker(new URL('worker.mjs', import.meta.url), { workerData: { options, cookie: live } })
  return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
}

async function main() {
  const body = await getSession(live)
  return {
    versions: versions(),
    live: body,
    text: (await getSessionJson(live)) === JSON.stringify(body),
    revoked: await getSession(revoked),
    none: await getSession(undefined),
    ...(await others()),
    ...(await readsAndWrites()),
    errors: await errors(),
    ...(process.argv.includes('--without-server') ? {} : { server: await server() }),
    caching: await caching(),
    workers: await Promise.all(Array.from({ length: 4 }, inWorker)),
  }
}

const { bun, deno } = process.versions
const runtime = bun ? 'bun' : deno ? 'deno' : 'node'
const results = await main()
await defaultBridge().close()
// This one stays open: the process ends all the same.
await new AuthBridge(options).getSession(live)
console.log(JSON.stringify({ runtime, results }))
