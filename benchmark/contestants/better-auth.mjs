// better-auth, with its cookie cache and without. It has sessions, users and cookies of its own, so it is compared by what a call costs.

import { cp, mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ROOT, run } from '../../__test__/support/apps.mjs'

const USERS = 20
const HOUR = 3600

/**
 * Installs it in a folder of its own, makes its tables, and signs users in.
 *
 * @param {{ url: string, secret: string }} app
 */
export async function openBetterAuth({ url, secret }) {
  const folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-better-auth-'))
  for (const file of ['package.json', 'package-lock.json']) {
    await cp(join(ROOT, 'benchmark', 'better-auth', file), join(folder, file))
  }
  await run('npm', ['ci'], { cwd: folder })
  const find = createRequire(join(folder, 'index.js')).resolve
  const load = (/** @type {string} */ name) => import(pathToFileURL(find(name)).href)
  const { betterAuth } = await load('better-auth')
  const { getMigrations } = await load('better-auth/db/migration')
  const { default: pg } = await load('pg')

  const pool = new pg.Pool({ connectionString: url })
  const withCache = (/** @type {boolean} */ enabled) => ({
    secret: secret.repeat(2),
    baseURL: 'http://localhost:3000',
    database: pool,
    emailAndPassword: { enabled: true },
    session: { cookieCache: { enabled, maxAge: HOUR } },
    logger: { disabled: true },
  })
  const [cached, asking] = [betterAuth(withCache(true)), betterAuth(withCache(false))]
  await (await getMigrations(withCache(true))).runMigrations()
  const cookies = []
  for (let user = 0; user < USERS; user++) {
    const body = { email: `user${user}@example.com`, password: 'correct horse battery', name: `User ${user}` }
    const response = await cached.api.signUpEmail({ body, asResponse: true })
    cookies.push(
      response.headers
        .getSetCookie()
        .map((/** @type {string} */ line) => line.split(';')[0])
        .join('; '),
    )
  }

  /** @param {typeof cached} auth @returns {(cookie: string) => Promise<object>} */
  const caller = (auth) => async (cookie) => {
    const found = await auth.api.getSession({ headers: new Headers({ cookie }) })
    return found ? { session_id: found.session.id, ...found } : {}
  }
  return {
    cookies,
    cached: caller(cached),
    asking: caller(asking),
    async close() {
      await pool.end()
      await rm(folder, { recursive: true })
    },
  }
}
