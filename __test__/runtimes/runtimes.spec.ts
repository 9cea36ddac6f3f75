// The main job in Bun and in Deno, with the packages as they are published and a real PostgreSQL: the same results as in Node.js, and the
// process ends.

import { execFile, execFileSync } from 'node:child_process'
import { copyFile, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeTarballs } from '../../scripts/tarballs.mjs'
import { SECRET } from '../support/bridges.js'
import { mintCookie } from '../support/cookies.mjs'
import { useDatabase } from '../support/database.js'
import { claimsOf, createSession, createUser, createWatchedTables } from '../support/tenants.mjs'

type Input = import('./main-job.mjs').Input

const root = join(import.meta.dirname, '..', '..')
const bin = (name: string) => join(root, 'node_modules', '.bin', name)
/** All that Deno has to be allowed. */
const PERMISSIONS = ['--allow-ffi', '--allow-env', '--allow-read', '--allow-net=127.0.0.1']

const database = useDatabase(createWatchedTables)

let input: Input
let sessionId: string
let app: string

/** An app with the packages in its `node_modules`. */
beforeAll(async () => {
  app = await mkdtemp(join(tmpdir(), 'authjs-bridge-runtimes-'))
  const modules = join(app, 'node_modules')
  for (const tarball of makeTarballs({ artifacts: root, output: app })) {
    const folder = join(modules, basename(tarball).replace(/-\d+\.\d+\.\d+\.tgz$/, ''))
    await mkdir(folder, { recursive: true })
    execFileSync('tar', ['--extract', '--gzip', '--strip-components=1', '--file', tarball, '--directory', folder])
  }
  await cp(join(root, 'node_modules', 'bowser'), join(modules, 'bowser'), { recursive: true })
  for (const file of ['main-job.mjs', 'worker.mjs']) await copyFile(join(import.meta.dirname, file), join(app, file))
  await writeFile(join(app, 'package.json'), '{ "type": "module" }')
})
afterAll(() => rm(app, { recursive: true }))

beforeAll(async () => {
  const user = await createUser(database.client)
  const start = async (columns = {}) => {
    const session = await createSession(database.client, user, columns)
    return { session, cookie: await mintCookie(claimsOf(user, session), { secret: SECRET }) }
  }
  const [live, revoked, due] = [await start(), await start({ revoked_at: new Date() }), await start()]
  sessionId = live.session.session_id
  input = {
    secret: SECRET,
    databaseUrl: database.url,
    cookies: { live: live.cookie, revoked: revoked.cookie, due: due.cookie },
    owner: { tenant: user.tenant, userId: user.user_id },
  }
})

async function run(program: string, ...args: string[]) {
  const env = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    ...{ AUTH_SECRET: SECRET, DATABASE_URL: database.url, AUTH_URL: 'http://localhost' },
    MAIN_JOB: JSON.stringify(input),
  }
  const { stdout } = await promisify(execFile)(program, [...args, 'main-job.mjs'], { cwd: app, env, timeout: 60_000 })
  return JSON.parse(stdout)
}

let expected: unknown
beforeAll(async () => {
  expected = (await run(process.execPath)).results
})

test('in Node.js', () => {
  expect(expected).toMatchObject({
    live: { session_id: sessionId },
    text: true,
    revoked: {},
    none: {},
    refreshed: `pro of ${input.owner.userId}`,
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
    server: [{ session_id: sessionId }, {}],
    caching: { hits: true, listening: true, passwords: 3 },
    workers: Array(4).fill(sessionId),
  })
})

describe('the same results', () => {
  test('in Bun', async () => {
    expect(await run(bin('bun'), 'run')).toEqual({ runtime: 'bun', results: expected })
  })

  test('in Deno, with these permissions', async () => {
    const answer = await run(bin('deno'), 'run', '--no-lock', ...PERMISSIONS)
    expect(answer).toEqual({ runtime: 'deno', results: expected })
  })
})

test.each(PERMISSIONS)('Deno refuses without %s, and says so', async (permission) => {
  const others = PERMISSIONS.filter((other) => other !== permission)
  const refused = run(bin('deno'), 'run', '--no-lock', '--no-prompt', ...others)
  const [name = ''] = permission.split('=')
  await expect(refused).rejects.toMatchObject({ stderr: expect.stringContaining(name) })
})
