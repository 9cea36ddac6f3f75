// The file that docs/nextjs.md shows for rolling sessions, as each version of Next.js calls it: it runs where `pg` does.

import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { installWithPackage, next, ROOT, run, serve } from '../support/apps.mjs'
import { SECRET } from '../support/bridges.js'
import { mintCookie } from '../support/cookies.mjs'
import { useDatabase } from '../support/database.js'
import { documented } from '../support/documented-app.js'
import { freePort } from '../support/postgres.mjs'
import { claimsOf, createSession, createUser } from '../support/tenants.mjs'

const { client, url } = useDatabase()

test.each([
  ['16', 'proxy.ts'],
  ['15.5', 'middleware.ts'],
])('Next.js %s rolls sessions by %s', async (version, file) => {
  const app = await mkdtemp(join(tmpdir(), 'authjs-bridge-rolling-'))
  onTestFinished(() => rm(app, { recursive: true }))
  const filter = (path: string) => !/node_modules|\.next|proxy\.ts$/.test(path)
  await cp(join(ROOT, 'examples', 'nextjs'), app, { recursive: true, filter })
  await installWithPackage(app, `next@${version}`)
  await writeFile(join(app, file), documented('docs/nextjs.md', file))
  await run(...next(app, ['build']), { cwd: app })
  const port = String(await freePort())
  const origin = `http://localhost:${port}`
  const env = { AUTH_SECRET: SECRET, AUTH_URL: origin, DATABASE_URL: url }
  const server = await serve(...next(app, ['start', '--port', port]), { cwd: app, env, ready: /Ready in/ })
  onTestFinished(() => server.stop())

  const user = await createUser(client)
  const session = await createSession(client, user)
  const cookie = await mintCookie(claimsOf(user, session), { secret: SECRET })
  const response = await fetch(`${origin}/signin`, { headers: { cookie } })
  expect(response.status).toBe(200)
  expect(response.headers.getSetCookie()).toContainEqual(expect.stringMatching(/^authjs\.session-token=ey/))
  const { rows } = await client.query('SELECT expires_at FROM sessions WHERE session_id = $1', [session.session_id])
  expect(rows[0].expires_at).toBeInstanceOf(Date)
})
