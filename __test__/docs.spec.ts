// Checks the links, commands, SQL and settings in the documentation. next/docs.spec.ts checks its TypeScript in an app,
// moving-page.spec.ts follows the page about moving, claims-and-tables.spec.ts the examples of that page, and
// next-modes/walkthrough.spec.ts follows the steps of getting started.

import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setEnvDefaults } from '@auth/core'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { AuthBridge } from '../index.js'
import manifest from '../package.json' with { type: 'json' }
import { unmatched } from '../site/.vitepress/navigation.mjs'
import { SECRET } from './support/bridges.js'
import { run } from './support/command-line.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { brokenLinks, codeBlocks, markdown, PAGES, read, statements } from './support/pages.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const blocks = PAGES.flatMap(codeBlocks)

const database = useDatabase()

test.each(markdown())('every link of %s leads somewhere', (page) => {
  expect(brokenLinks(page)).toEqual([])
})

test('the navigation of the site has every page', () => {
  expect(unmatched()).toEqual([])
})

test('every test file that a page names is there', () => {
  const named = PAGES.flatMap((page) => [...read(page).matchAll(/`([\w/-]+\.spec\.ts)`/g)].map(([, file = '']) => file))
  expect(named.length).toBeGreaterThan(10)
  expect(named.filter((file) => !existsSync(join(import.meta.dirname, '..', file)))).toEqual([])
})

test('every code block is in a language that a test covers', () => {
  expect(new Set(blocks.map(({ language }) => language))).toEqual(
    new Set(['ts', 'tsx', 'js', 'json', 'sh', 'sql', 'dotenv', '']),
  )
})

test('every command is one of npm, and its script exists', () => {
  const commands = blocks
    .filter(({ language, page }) => language === 'sh' && page !== 'docs/getting-started.md')
    .flatMap(({ text }) => text.trim().split(/\n|&&/))
    .map((command) => command.trim())
  expect(commands).toContain('npm ci')
  const scripts = ['npm ci', 'npm test', ...Object.keys(manifest.scripts).map((script) => `npm run ${script}`)]
  const tarballs = 'npm install /path/to/tarballs/*.tgz'
  // doctor.spec.ts, explain-command.spec.ts, session-commands.spec.ts, schema-recipes.spec.ts and listen.spec.ts test these.
  const schemas = [
    'npx authjs-bridge schema --for prisma | psql "$DATABASE_URL"',
    'npx authjs-bridge schema --for auth-adapter | psql "$DATABASE_URL"',
    'npx authjs-bridge schema --notify | psql -v ON_ERROR_STOP=1 "$DATABASE_URL"',
  ]
  const ofTenant = 'npx authjs-bridge revoke --tenant TENANT'
  const own = [
    ...['doctor', 'explain', 'doctor --production', 'explain --production'].map((name) => `npx authjs-bridge ${name}`),
    ...[...schemas, 'npx authjs-bridge prune --before 30d'],
    'npx authjs-bridge sessions --tenant TENANT --user USER',
    `${ofTenant} --session SESSION --user USER`,
    `${ofTenant} --session SESSION --any-user`,
    `${ofTenant} --user USER --reason 'password changed'`,
    `${ofTenant} --all-of-tenant --reason incident`,
  ]
  // pglite.spec.ts and runtimes.spec.ts do what these do.
  const elsewhere = [
    'npm install --save-dev @electric-sql/pglite @electric-sql/pglite-socket',
    'deno run --allow-ffi --allow-env --allow-read --allow-net=127.0.0.1 server.mjs',
  ]
  for (const command of commands) expect([...scripts, ...own, ...elsewhere, tarballs]).toContain(command)
})

test('the page about the command line shows the output of doctor', async () => {
  await database.client.query('ALTER TABLE sessions DROP CONSTRAINT sessions_pkey')
  await createSession(database.client, await createUser(database.client))
  const folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-doctor-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, '.env.local'), `AUTH_SECRET=${'s'.repeat(44)}\nAUTH_URL=http://localhost:3000\n`)
  const env = { DATABASE_URL: database.url }
  const { code, stdout } = await run(['doctor'], { env, cwd: folder })
  await database.client.query('ALTER TABLE sessions ADD PRIMARY KEY (tenant, session_id)')
  const { pathname } = new URL(database.url)
  const shown = (text = '') =>
    text
      .replaceAll(pathname.slice(1), 'app')
      .replaceAll(/[\d.]*\d/g, '0')
      .replace('behind', 'ahead of')
  const sample = codeBlocks('docs/command-line.md').find(({ text }) => text.startsWith('ok '))
  expect(shown(stdout.trim())).toBe(shown(sample?.text.trim()))
  expect(code).toBe(1)
})

test('the session in reading.md is what is returned', async () => {
  const [sample] = codeBlocks('docs/reading.md').filter(({ language }) => language === 'json')
  const session = JSON.parse(sample?.text ?? '')
  const { tenant, id: user_id, user_type, email, name } = session.user
  const user = await createUser(database.client, { tenant, user_id, user_type, email })
  const { session_id, login_method } = session
  await createSession(database.client, user, { session_id, login_method })
  const bridge = new AuthBridge({ secret: SECRET, databaseUrl: database.url, secureCookie: false })
  const claims = { tenant, id: user_id, user_type, email, name, session_id, login_method }
  const body = await bridge.getSessionJson(await mintCookie(claims, { secret: SECRET }))
  await bridge.close()
  expect(body).toBe(JSON.stringify(session))
})

describe('SQL', () => {
  const pages = ['docs/operating.md', 'docs/caching.md', 'docs/troubleshooting.md']

  test('is on these pages, and on those that have a test of their own', () => {
    const found = new Set(blocks.filter(({ language }) => language === 'sql').map(({ page }) => page))
    expect(found).toEqual(new Set([...pages, 'docs/moving-from-authjs.md', 'docs/claims-and-tables.md']))
  })

  test.each(pages)('of %s is valid for the tables of schema.sql', async (page) => {
    const found = codeBlocks(page).filter(({ language }) => language === 'sql')
    for (const [index, statement] of found.flatMap(({ text }) => statements(text)).entries()) {
      await database.client.query(`PREPARE "${page} ${index}" AS ${statement}`)
    }
  })
})

describe('the rotation of secrets in operating.md', () => {
  const steps = codeBlocks('docs/operating.md').filter(({ language }) => language === 'dotenv')
  const environments = steps.map(({ text }) =>
    Object.fromEntries([...text.matchAll(/^(\w+)=(.+)$/gm)].map(([, name = '', value]) => [name, value])),
  )
  afterEach(() => vi.unstubAllEnvs())

  /** The secret that Auth.js encrypts with in this environment. */
  function sealingSecret(environment: Record<string, string | undefined>) {
    const config: { secret?: string | string[]; providers: [] } = { providers: [] }
    setEnvDefaults(environment, config)
    return [config.secret].flat()[0] ?? ''
  }

  /** The bridge of `getSession` in this environment. */
  function bridgeIn(environment: Record<string, string | undefined>) {
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
    const options = JSON.parse(environment.AUTH_BRIDGE_OPTIONS?.slice(1, -1) ?? '{}')
    return new AuthBridge({ ...options, databaseUrl: database.url, secureCookie: false, updateAge: 0 })
  }

  /** Whether a cookie that was encrypted in one environment can be read in another, after it was rolled in those between. */
  async function opens(...[sealed = {}, ...others]: Record<string, string | undefined>[]) {
    const user = await createUser(database.client)
    const session = await createSession(database.client, user, { expires_at: new Date(Date.now() + 3_600_000) })
    let cookie = await mintCookie(claimsOf(user, session), { secret: sealingSecret(sealed) })
    let id: string | undefined
    for (const environment of others) {
      const bridge = bridgeIn(environment)
      const refreshed = await bridge.refreshSession(cookie)
      cookie = refreshed.cookieHeader
      id = refreshed.session.session_id
      vi.unstubAllEnvs()
      await bridge.close()
    }
    return id === session.session_id
  }

  test('signs nobody out while two steps are deployed at a time', async () => {
    expect(environments.map(sealingSecret)).toEqual(['the-old-one', 'the-old-one', 'the-new-one', 'the-new-one'])
    for (const [index, next] of environments.slice(1).entries()) {
      const step = environments[index] ?? {}
      expect(await opens(step, next)).toBe(true)
      expect(await opens(next, step)).toBe(true)
    }
  })

  test('signs nobody out whose session this package alone keeps alive', async () => {
    expect(environments).toHaveLength(4)
    expect(await opens(...environments)).toBe(true)
    const withoutOption = environments.map(({ AUTH_BRIDGE_OPTIONS: _, ...environment }) => environment)
    expect(await opens(...withoutOption)).toBe(false)
  })

  test('ends with the old secret without effect', async () => {
    const [first = {}, last = {}] = [environments[0], environments.at(-1)]
    expect(await opens(first, last)).toBe(false)
  })
})
