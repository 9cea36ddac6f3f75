// PGlite in the place of a server, as docs/platforms.md sets it up.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { SECRET, useBridges } from './support/bridges.js'
import { diagnose } from './support/command-line.js'
import { mintCookie } from './support/cookies.mjs'
import { withClient } from './support/faults.js'
import { codeBlocks } from './support/pages.js'
import { freePort } from './support/postgres.mjs'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const open = useBridges()
const ID = '5b0b0b7e-3f0e-4c0e-8d66-111111111111'
let folder: string
let url: string
let server: ReturnType<typeof spawn>

async function start() {
  server = spawn(process.execPath, ['database.mjs'], { cwd: folder, stdio: 'inherit' })
  const answers = () =>
    withClient(url, (client) => client.query('SELECT FROM sessions LIMIT 0')).then(
      () => true,
      () => false,
    )
  while (!(await answers())) await sleep(200)
}
async function stop() {
  const ended = once(server, 'exit')
  server.kill('SIGINT')
  await ended
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-pglite-'))
  const port = await freePort()
  const blocks = codeBlocks('docs/platforms.md').map(({ text }) => text.replace('5432', String(port)))
  const [program = ''] = blocks.filter((text) => text.startsWith('// database.mjs'))
  const [, variable = ''] = blocks.join('\n').match(/^DATABASE_URL=(.+)$/m) ?? []
  url = variable
  await writeFile(join(folder, 'database.mjs'), program)
  const root = join(import.meta.dirname, '..')
  const modules = join(folder, 'node_modules')
  await mkdir(modules)
  await symlink(root, join(modules, 'authjs-bridge'), 'junction')
  await symlink(join(root, 'node_modules', '@electric-sql'), join(modules, '@electric-sql'), 'junction')
  await start()
})
afterAll(async () => {
  await stop()
  await rm(folder, { recursive: true })
})

test('reads, rolls, starts and ends sessions, beside other clients', async () => {
  const other = new pg.Client(url)
  await other.connect()
  const user = await createUser(other)
  const { session_id } = await createSession(other, user)
  const cookie = await mintCookie(claimsOf(user, { session_id, login_method: 'credentials' }), { secret: SECRET })
  const bridge = open(url, { secureCookie: false, maxStaleness: 60_000, freshClaims: ['username'] })
  const many = await Promise.all(Array.from({ length: 50 }, () => bridge.getSession(cookie)))
  expect(new Set(many.map((session) => session.session_id))).toEqual(new Set([session_id]))
  expect((await bridge.refreshSession(cookie)).setCookie).toHaveLength(1)
  const owner = { tenant: user.tenant, userId: user.user_id }
  const { sessionId } = await bridge.createSession({ ...owner, maxSessions: 5 })
  expect((await bridge.listSessions(owner)).map((session) => session.sessionId).sort()).toEqual(
    [session_id, sessionId].sort(),
  )
  expect(await bridge.revokeSession({ ...owner, sessionId: session_id })).toBe(true)
  expect(await bridge.getSession(cookie)).toEqual({})
  expect((await other.query('SELECT count(*)::int AS ended FROM sessions WHERE revoked_at IS NOT NULL')).rows).toEqual([
    { ended: 1 },
  ])
  await other.end()
})

test('no notification comes', async () => {
  const bridge = open(url, { secureCookie: false, maxStaleness: 60_000, listen: true, queryTimeout: 500 })
  await bridge.getSession(
    await mintCookie(
      claimsOf({ tenant: ID, user_id: ID, user_type: 'internal', email: '' }, { session_id: ID, login_method: '' }),
      { secret: SECRET },
    ),
  )
  await expect.poll(() => bridge.stats().listener?.problem).toMatch(/^they don't come through, as behind a pooler/)
})

test('doctor finds nothing that fails', async () => {
  const { withStatus, check } = await diagnose({ env: { AUTH_SECRET: SECRET, DATABASE_URL: url } })
  expect(withStatus('failed')).toEqual([])
  expect(check('pooler')).toMatchObject({ status: 'ok' })
})

test('rows are there after a restart', async () => {
  await stop()
  await start()
  const { rows } = await withClient(url, (client) => client.query('SELECT count(*)::int AS count FROM sessions'))
  expect(rows).toEqual([{ count: 2 }])
})
