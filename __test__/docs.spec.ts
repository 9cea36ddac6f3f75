// What the documentation shows is so: its links, its commands, its SQL and its settings. Its TypeScript is checked in an app, by
// next/docs.spec.ts; the steps of getting started are followed by next-modes/walkthrough.spec.ts.

import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setEnvDefaults } from '@auth/core'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { AuthBridge } from '../index.js'
import manifest from '../package.json' with { type: 'json' }
import { SECRET } from './support/bridges.js'
import { run } from './support/command-line.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { codeBlocks, PAGES, read, statements } from './support/pages.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const blocks = PAGES.flatMap(codeBlocks)

const database = useDatabase()

test.each([...PAGES, 'SECURITY.md', 'CONTRIBUTING.md'])('every link of %s leads somewhere', (page) => {
  const links = [...read(page).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)]
  const broken = links.filter(([, path, anchor]) => {
    const target = path ? join(dirname(page), path) : page
    return !existsSync(join(ROOT, target)) || (anchor && !anchors(target).includes(anchor))
  })
  expect(broken.map(([link]) => link)).toEqual([])
})

/** As GitHub makes them of the headings. */
function anchors(page: string) {
  const headings = [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading.toLowerCase())
  return headings.map((heading) => heading.replaceAll(/[^\w\- ]/g, '').replaceAll(' ', '-'))
}

test('every block of code is of a kind that a test takes care of', () => {
  expect(new Set(blocks.map(({ language }) => language))).toEqual(new Set(['ts', 'tsx', 'sh', 'sql', 'dotenv', '']))
})

test('every command is one of npm, and its script is there', () => {
  const commands = blocks
    .filter(({ language, page }) => language === 'sh' && page !== 'docs/getting-started.md')
    .flatMap(({ text }) => text.trim().split(/\n|&&/))
    .map((command) => command.trim())
  expect(commands).toContain('npm ci')
  const scripts = ['npm ci', 'npm test', ...Object.keys(manifest.scripts).map((script) => `npm run ${script}`)]
  const tarballs = 'npm install /path/to/tarballs/*.tgz'
  // With tests of their own: doctor.spec.ts and explain-command.spec.ts.
  const own = ['npx authjs-bridge doctor', 'npx authjs-bridge explain']
  for (const command of commands) expect([...scripts, ...own, tarballs]).toContain(command)
})

test('what the README shows of doctor is what it prints', async () => {
  await database.client.query('ALTER TABLE sessions DROP CONSTRAINT sessions_pkey')
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
  const sample = codeBlocks('README.md').find(({ text }) => text.startsWith('ok '))
  expect(shown(stdout.trim())).toBe(shown(sample?.text.trim()))
  expect(code).toBe(1)
})

describe('SQL', () => {
  const pages = ['docs/nextjs.md', 'docs/operating.md']

  test('stands on these pages, and in moving-from-authjs.md', () => {
    const found = new Set(blocks.filter(({ language }) => language === 'sql').map(({ page }) => page))
    expect(found).toEqual(new Set([...pages, 'docs/moving-from-authjs.md']))
  })

  test.each(pages)('of %s is right for the tables of schema.sql', async (page) => {
    const found = codeBlocks(page).filter(({ language }) => language === 'sql')
    for (const [index, statement] of found.flatMap(({ text }) => statements(text)).entries()) {
      await database.client.query(`PREPARE "${page} ${index}" AS ${statement}`)
    }
  })

  test('of moving-from-authjs.md makes views that sessions are read through', async () => {
    await database.client.query(`
      CREATE TABLE accounts (organization_id uuid, id uuid, is_staff boolean, PRIMARY KEY (organization_id, id));
      CREATE TABLE logins (organization_id uuid, id uuid, account_id uuid, ends_at timestamptz, revoked_at timestamptz,
                           revoked_reason text, PRIMARY KEY (organization_id, id))`)
    for (const { text } of codeBlocks('docs/moving-from-authjs.md').filter(({ language }) => language === 'sql')) {
      await database.client.query(text)
    }
    const user = await createUser(database.client)
    const session = await createSession(database.client, user)
    await database.client.query(`
      INSERT INTO accounts SELECT tenant, user_id, user_type = 'internal' FROM users;
      INSERT INTO logins SELECT tenant, session_id, user_id, expires_at FROM sessions`)
    const bridge = new AuthBridge({
      secret: SECRET,
      databaseUrl: `${database.url}?schema=authjs_bridge`,
      secureCookie: false,
    })
    onTestFinished(() => bridge.close())
    const cookie = await mintCookie(claimsOf(user, session), { secret: SECRET })
    expect((await bridge.getSession(cookie)).session_id).toBe(session.session_id)
    await database.client.query('UPDATE logins SET revoked_at = now()')
    expect(await bridge.getSession(cookie)).toEqual({})
  })
})

describe('the rotation of secrets in operating.md', () => {
  const steps = codeBlocks('docs/operating.md').filter(({ language }) => language === 'dotenv')
  const environments = steps.map(({ text }) =>
    Object.fromEntries([...text.matchAll(/^(\w+)=(.+)$/gm)].map(([, name = '', value]) => [name, value])),
  )
  afterEach(() => vi.unstubAllEnvs())

  /** What Auth.js seals with in this environment. */
  function sealingSecret(environment: Record<string, string | undefined>) {
    const config: { secret?: string | string[]; providers: [] } = { providers: [] }
    setEnvDefaults(environment, config)
    return [config.secret].flat()[0] ?? ''
  }

  /** Whether a cookie that was sealed in one environment opens in another. */
  async function opens(sealed: Record<string, string | undefined>, read: Record<string, string | undefined>) {
    for (const [name, value] of Object.entries(read)) vi.stubEnv(name, value)
    const bridge = new AuthBridge({ databaseUrl: database.url, secureCookie: false })
    const user = await createUser(database.client)
    const session = await createSession(database.client, user)
    const cookie = await mintCookie(claimsOf(user, session), { secret: sealingSecret(sealed) })
    const { session_id } = await bridge.getSession(cookie)
    vi.unstubAllEnvs()
    await bridge.close()
    return session_id === session.session_id
  }

  test('signs nobody out while two steps are deployed side by side', async () => {
    expect(environments.map(sealingSecret)).toEqual(['the-old-one', 'the-old-one', 'the-new-one', 'the-new-one'])
    for (const [index, next] of environments.slice(1).entries()) {
      const step = environments[index] ?? {}
      expect(await opens(step, next)).toBe(true)
      expect(await opens(next, step)).toBe(true)
    }
  })

  test('ends with the old secret worth nothing', async () => {
    const [first = {}, last = {}] = [environments[0], environments.at(-1)]
    expect(await opens(first, last)).toBe(false)
  })
})
