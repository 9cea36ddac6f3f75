// The servers of docs/frameworks.md, from the text of the page, and processes that fork: with the packages as they are published and a
// real PostgreSQL.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { SECRET } from '../support/bridges.js'
import { mintCookie } from '../support/cookies.mjs'
import { useDatabase } from '../support/database.js'
import { documented } from '../support/documented-app.js'
import { connections } from '../support/faults.js'
import { makeApp, ROOT } from '../support/main-job.js'
import { freePort } from '../support/postgres.mjs'
import { startProxy } from '../support/proxy.js'
import { runNode } from '../support/script.js'
import { claimsOf, createSession, createUser } from '../support/tenants.mjs'

const PAGE = 'docs/frameworks.md'
const LONG = { timeout: 15_000 }
const { client, url } = useDatabase()

let app: string
beforeAll(async () => {
  app = await mkdtemp(join(tmpdir(), 'authjs-bridge-servers-'))
  await makeApp(app)
  for (const name of ['express', 'fastify', 'hono', '@hono']) {
    await symlink(join(ROOT, 'node_modules', name), join(app, 'node_modules', name))
  }
  for (const file of ['express.mjs', 'fastify.mjs', 'hono.mjs', 'cluster.mjs']) {
    await writeFile(join(app, file), documented(PAGE, file))
  }
})
afterAll(() => rm(app, { recursive: true }))

/** A user with a session whose token is due. */
async function signIn() {
  const user = await createUser(client)
  const session = await createSession(client, user)
  return { user, session, cookie: await mintCookie(claimsOf(user, session), { secret: SECRET }) }
}

/** Starts a server of the page. */
async function start(file: string, databaseUrl = url) {
  const port = String(await freePort())
  const origin = `http://127.0.0.1:${port}`
  const env = { PATH: process.env.PATH, AUTH_SECRET: SECRET, AUTH_URL: origin, DATABASE_URL: databaseUrl, PORT: port }
  const server = spawn(process.execPath, [file], { cwd: app, env })
  let output = ''
  for (const stream of [server.stdout, server.stderr]) stream.on('data', (chunk) => (output += chunk))
  onTestFinished(async () => {
    const ended = once(server, 'exit')
    if (server.kill()) await ended
  })
  /** The status, the body, and the cookies and the caching of the response. */
  async function get(cookie = '') {
    const response = await fetch(`${origin}/me`, { headers: { cookie, connection: 'close' } })
    const { status, headers } = response
    return {
      status,
      body: await response.json(),
      cookies: headers.getSetCookie(),
      caching: headers.get('cache-control'),
    }
  }
  await expect.poll(() => get().then(({ status }) => status, String), LONG).toBe(401)
  return { get, output: () => output }
}

test.each(['express.mjs', 'fastify.mjs', 'hono.mjs'])('%s', async (file) => {
  const target = new URL(url)
  const proxy = await startProxy(Number(target.port))
  target.port = String(proxy.port)
  const { get, output } = await start(file, target.href)
  const signedOut = { status: 401, body: { error: 'signed out' } }
  expect(await get()).toEqual({ ...signedOut, cookies: [], caching: null })
  expect(await get('authjs.session-token=x.y.z')).toMatchObject(signedOut)

  const { user, session, cookie } = await signIn()
  const { status, body, cookies, caching } = await get(cookie)
  expect({ status, body, caching }).toEqual({
    status: 200,
    body: expect.objectContaining({ id: user.user_id, email: user.email }),
    caching: 'private, no-cache, no-store, max-age=0',
  })
  expect(cookies).toEqual([expect.stringMatching(/^authjs\.session-token=ey.+; HttpOnly/)])
  const [rolled = ''] = cookies.map((line) => line.split(';')[0])
  expect(await get(rolled)).toEqual({ status: 200, body, cookies: [], caching: null })

  proxy.close()
  for (const held of [cookie, rolled]) {
    expect(await get(held)).toEqual({ status: 500, body: { error: 'failed' }, cookies: [], caching: null })
  }
  expect(output()).toContain('ERR_AUTH_BRIDGE_DATABASE')
  expect(output()).not.toContain(rolled)
  const restored = await startProxy(Number(new URL(url).port), proxy.port)
  onTestFinished(() => restored.close())
  expect(await get(rolled)).toMatchObject({ status: 200, body })

  await client.query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [session.session_id])
  expect(await get(rolled)).toMatchObject(signedOut)
  expect(await get(cookie)).toMatchObject({
    ...signedOut,
    cookies: [expect.stringMatching(/^authjs\.session-token=;.*Max-Age=0/)],
  })
})

test('cluster.mjs: each worker has a pool of its own, and all see a revocation', async () => {
  const ours = () => connections(client, 'AND datname = current_database()')
  await expect.poll(ours, LONG).toBe(0)
  const { get } = await start('cluster.mjs')
  const { session, cookie } = await signIn()
  // The primary hands each new connection to the next worker.
  const readThenCount = async () => [(await get(cookie)).status, await ours()]
  await expect.poll(readThenCount, LONG).toEqual([200, 2])
  await client.query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [session.session_id])
  const refused = [await get(cookie), await get(cookie), await get(cookie), await get(cookie)]
  expect(refused.map(({ status }) => status)).toEqual([401, 401, 401, 401])
})

const FORKS = `
import { fork } from 'node:child_process'
import cluster from 'node:cluster'
import { once } from 'node:events'
import { getSession } from 'authjs-bridge'

const session = await getSession(process.env.COOKIE)
if (process.send) {
  process.send(session.session_id, () => process.disconnect())
} else {
  const start = process.env.BY === 'cluster' ? () => cluster.fork() : () => fork('forks.mjs')
  const results = [1, 2, 3].map(async () => {
    const child = start()
    const [[message], [code]] = await Promise.all([once(child, 'message'), once(child, 'exit')])
    return [message, code]
  })
  console.log(JSON.stringify([session.session_id, await Promise.all(results)]))
}`

test.each(['cluster', 'child_process'])(
  'processes that %s forks while the parent is connected read sessions, and end by themselves',
  async (by) => {
    await writeFile(join(app, 'forks.mjs'), FORKS)
    const { session, cookie } = await signIn()
    const env = { AUTH_SECRET: SECRET, AUTH_URL: 'http://localhost', DATABASE_URL: url, COOKIE: cookie, BY: by }
    const { output, errors } = await runNode(['forks.mjs'], { env, cwd: app })
    expect(errors).toBe('')
    const id = session.session_id
    expect(JSON.parse(output)).toEqual([
      id,
      [
        [id, 0],
        [id, 0],
        [id, 0],
      ],
    ])
  },
)
