// What `main-job.mjs` needs: an app with the packages as they are published, and a PostgreSQL server with its sessions.

import { execFile, execFileSync } from 'node:child_process'
import { copyFile, cp, mkdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { encode as encodeV4 } from 'next-auth-4/jwt'
import { expect } from 'vitest'
import { makeTarballs } from '../../scripts/tarballs.mjs'
import { SECRET } from './bridges.js'
import { createAuthority } from './certificates.js'
import { mintCookie } from './cookies.mjs'
import { withClient } from './faults.js'
import { startPostgres } from './postgres.mjs'
import { claimsOf, createSession, createUser, createWatchedTables } from './tenants.mjs'

type Input = import('../runtimes/main-job.mjs').Input

export const ROOT = join(import.meta.dirname, '..', '..')

/** Makes an app in `folder`, with the native parts that are in the folder `artifacts`. */
export async function makeApp(folder: string, artifacts = ROOT) {
  const modules = join(folder, 'node_modules')
  for (const tarball of makeTarballs({ artifacts, output: folder })) {
    const own = join(modules, basename(tarball).replace(/-\d+\.\d+\.\d+\.tgz$/, ''))
    await mkdir(own, { recursive: true })
    execFileSync('tar', ['--extract', '--gzip', '--strip-components=1', '--file', tarball, '--directory', own])
  }
  await cp(join(ROOT, 'node_modules', 'bowser'), join(modules, 'bowser'), { recursive: true })
  const job = join(ROOT, '__test__', 'runtimes')
  for (const file of ['main-job.mjs', 'worker.mjs']) await copyFile(join(job, file), join(folder, file))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
}

/** Starts a server with TLS, and fills its tables. */
export async function startMainJob() {
  const authority = await createAuthority('the authority of the main job')
  const server = await startPostgres({}, await authority.sign('localhost'))
  const url = server.url()
  const { user, live, revoked, due, v4 } = await withClient(url, async (client) => {
    await createWatchedTables(client)
    const user = await createUser(client)
    const start = async (columns = {}) => {
      const claims = claimsOf(user, await createSession(client, user, columns))
      return { claims, cookie: await mintCookie(claims, { secret: SECRET }) }
    }
    const { claims } = await start()
    const token = await encodeV4({ token: claims, secret: SECRET })
    return {
      ...{ user, live: await start(), revoked: await start({ revoked_at: new Date() }), due: await start() },
      v4: `next-auth.session-token=${token}`,
    }
  })
  const tlsUrl = `${url.replace('127.0.0.1', 'localhost')}?hostaddr=127.0.0.1&sslmode=verify-full`
  const input: Input = {
    ...{ secret: SECRET, databaseUrl: url, tlsUrl, ca: authority.certificate },
    cookies: { live: live.cookie, revoked: revoked.cookie, due: due.cookie, v4 },
    owner: { tenant: user.tenant, userId: user.user_id },
  }
  const sessionId = live.claims.session_id

  /** Runs the job in a folder of `makeApp`, or what a runtime sees in its place, and returns what it prints. */
  async function run(cwd: string, program: string, ...args: string[]) {
    const env = {
      ...{ PATH: process.env.PATH, HOME: process.env.HOME },
      ...{ AUTH_SECRET: SECRET, DATABASE_URL: url, AUTH_URL: 'http://localhost', MAIN_JOB: JSON.stringify(input) },
    }
    const { stdout } = await promisify(execFile)(program, args, { cwd, env, timeout: 120_000 })
    return JSON.parse(stdout)
  }

  const results = {
    versions: { authjsBridge: expect.any(String), openssl: expect.any(String) },
    live: expect.objectContaining({ session_id: sessionId }),
    text: true,
    revoked: {},
    none: {},
    v4: true,
    encrypted: sessionId,
    refreshed: `pro of ${user.user_id}`,
    updated: true,
    current: [true],
    ended: true,
    many: 200,
    reason: 'session-revoked',
    healthy: true,
    closed: 'ERR_AUTH_BRIDGE_CLOSED',
    errors: {
      option: 'ERR_AUTH_BRIDGE_CONFIG',
      argument: 'ERR_AUTH_BRIDGE_ARGUMENT',
      outage: 'ERR_AUTH_BRIDGE_DATABASE',
      ofClient: {},
    },
    server: [expect.objectContaining({ session_id: sessionId }), {}],
    // The password is asked for by the pool, by the listener, and to try that out.
    caching: { hits: true, listening: true, passwords: 3 },
    workers: Array(4).fill(sessionId),
  }
  return { run, results, stop: () => server.dispose() }
}
