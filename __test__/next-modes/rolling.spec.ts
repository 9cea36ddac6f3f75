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
import { read } from '../support/pages.js'
import { freePort } from '../support/postgres.mjs'
import { claimsOf, createSession, createTables, createUser } from '../support/tenants.mjs'

const { client, url } = useDatabase(async (client) => {
  await createTables(client)
  await client.query(read('examples/nextjs/database/example.sql'))
})

const HOUR = 60 * 60 * 1000
/** As the router of Next.js sends it. */
const PREFETCH = { rsc: '1', 'next-router-prefetch': '1' }

test.each([
  ['16', 'proxy.ts', 'proxy.ts', true],
  ['16', 'proxy.ts', 'proxy.ts, without prefetches', false],
  ['15.5', 'middleware.ts', 'middleware.ts', true],
])('Next.js %s rolls sessions by %s as the page shows it: %s', async (version, file, shown, rollsPrefetches) => {
  const app = await mkdtemp(join(tmpdir(), 'authjs-bridge-rolling-'))
  onTestFinished(() => rm(app, { recursive: true }))
  const filter = (path: string) => !/node_modules|\.next|proxy\.ts$/.test(path)
  await cp(join(ROOT, 'examples', 'nextjs'), app, { recursive: true, filter })
  await installWithPackage(app, `next@${version}`)
  await writeFile(join(app, file), documented('docs/nextjs.md', shown))
  await run(...next(app, ['build']), { cwd: app })
  const port = String(await freePort())
  const origin = `http://localhost:${port}`
  const env = { AUTH_SECRET: SECRET, AUTH_URL: origin, DATABASE_URL: url }
  const server = await serve(...next(app, ['start', '--port', port]), { cwd: app, env, ready: /Ready in/ })
  onTestFinished(() => server.stop())

  const user = await createUser(client)
  await client.query(`INSERT INTO tenants VALUES ($1, $2, 'pro')`, [user.tenant, user.tenant])
  /** Whether a page rolls a session that ends in an hour, whose lifetime is that of the example: 30 days. */
  async function rolls(headers: Record<string, string> = {}) {
    const session = await createSession(client, user, { expires_at: new Date(Date.now() + HOUR) })
    const cookie = await mintCookie(claimsOf(user, session), { secret: SECRET })
    const response = await fetch(`${origin}/signin`, { headers: { cookie, ...headers }, redirect: 'manual' })
    expect(response.status).toBeLessThan(400)
    const { rows } = await client.query('SELECT expires_at FROM sessions WHERE session_id = $1', [session.session_id])
    const isSlid = rows[0].expires_at.getTime() > Date.now() + 29 * 24 * HOUR
    const isIssued = response.headers.getSetCookie().some((line) => line.startsWith('authjs.session-token=ey'))
    expect(isIssued).toBe(isSlid)
    return isSlid
  }
  expect(await rolls()).toBe(true)
  expect(await rolls(PREFETCH)).toBe(rollsPrefetches)
})
