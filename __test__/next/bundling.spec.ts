// A small app with this package as users install it, under both bundlers of Next.js, in all the ways to run it.

import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AuthBridge } from '../../index.js'
import { installWithPackage, next, ROOT, run, serve } from '../support/apps.mjs'
import { mintCookie } from '../support/cookies.mjs'
import { useDatabase } from '../support/database.js'
import { codeBlocks } from '../support/pages.js'
import { freePort } from '../support/postgres.mjs'
import { claimsOf, createSession, createUser } from '../support/tenants.mjs'

const SECRET = 'the secret of the test, 32 bytes'
const FIXTURE = join(ROOT, '__test__', 'next', 'app')
const EXAMPLE = join(ROOT, 'examples', 'nextjs')

/** What each bundler says of a native module, as the documentation shows it. */
const [turbopack = '', webpack = ''] = codeBlocks('docs/getting-started.md')
  .filter(({ language }) => language === '')
  .map(({ text }) => text.trim())
const ERRORS = { turbopack, webpack }

const database = useDatabase()
let bridge: AuthBridge
let folder: string
let app: string
beforeAll(async () => {
  bridge = new AuthBridge({ secret: SECRET, databaseUrl: database.url, secureCookie: false })
  folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-next-'))
  app = join(folder, 'app')
  await cp(FIXTURE, app, { recursive: true })
  for (const file of ['package.json', 'package-lock.json']) await cp(join(EXAMPLE, file), join(app, file))
  await installWithPackage(app)
})
afterAll(async () => {
  await bridge?.close()
  if (folder) await rm(folder, { recursive: true })
})

let cookie: string
let session: Awaited<ReturnType<typeof createSession>>
beforeEach(async () => {
  const user = await createUser(database.client)
  session = await createSession(database.client, user)
  cookie = await mintCookie(claimsOf(user, session), { secret: SECRET })
})

const open: Awaited<ReturnType<typeof serve>>[] = []
afterEach(() => Promise.all(open.splice(0).map((server) => server.stop())))

/** Starts the app, or what stands for it. */
async function start(args: string[] | { standalone: string }, env: Record<string, string> = {}) {
  const port = String(await freePort())
  const origin = `http://localhost:${port}`
  const standalone = !Array.isArray(args)
  const [command, more] = standalone ? [process.execPath, ['server.js']] : next(app, [...args, '--port', port])
  const server = await serve(command, more, {
    cwd: standalone ? args.standalone : app,
    env: { PORT: port, AUTH_SECRET: SECRET, AUTH_URL: origin, DATABASE_URL: database.url, ...env },
    ready: /Ready in/,
  })
  open.push(server)
  return { ...server, origin }
}

/** Builds the app, without a database or a secret. */
async function build(bundler: string, env: Record<string, string> = {}) {
  await rm(join(app, '.next'), { recursive: true, force: true })
  await run(...next(app, ['build', `--${bundler}`]), { cwd: app, env })
}

/** What must hold, however the app runs. */
async function expectAnswers(origin: string) {
  const get = (path: string, init: RequestInit = {}) => fetch(origin + path, { redirect: 'manual', ...init })
  const signedIn = { headers: { cookie } }
  const text = async (path: string, init?: RequestInit) => (await get(path, init)).text()
  const idOf = (html: string, id: string) => html.match(new RegExp(`<p id="${id}">([^<]*)</p>`))?.[1]

  const body = await bridge.getSessionJson(cookie)
  for (const path of ['/api/auth/session', '/api/null', '/api/hand']) {
    expect(await text(path, signedIn)).toBe(body)
    expect(await text(path)).toBe(path === '/api/null' ? 'null' : '{}')
  }

  const response = await get('/api/auth/session', signedIn)
  expect(response.status).toBe(200)
  const headers = Object.fromEntries(response.headers)
  expect(headers).toMatchObject({
    'content-type': 'application/json',
    'cache-control': 'private, no-cache, no-store',
    expires: '0',
    pragma: 'no-cache',
  })
  const head = await get('/api/auth/session', { ...signedIn, method: 'HEAD' })
  expect(head.status).toBe(200)
  expect(await head.text()).toBe('')
  expect(head.headers.get('cache-control')).toBe(headers['cache-control'])

  expect(await (await get('/api/twice', signedIn)).json()).toEqual({
    first: session.session_id,
    second: session.session_id,
    asks: 2,
  })

  const page = await text('/', signedIn)
  expect(page).toContain('<title>ada@example.com</title>')
  expect(idOf(page, 'session')).toBe(session.session_id)
  expect(idOf(page, 'asks')).toBe('1')
  const guarded = await get('/')
  expect(guarded.status).toBe(307)
  expect(guarded.headers.get('location')).toBe('/signin')

  // As a browser without JavaScript sends the form: action and render are one request.
  const form = new FormData()
  form.set(page.match(/name="(\$ACTION_ID_\w+)"/)?.[1] ?? 'no action', '')
  const after = await text('/', { ...signedIn, method: 'POST', body: form })
  expect(idOf(after, 'notes')).toBe(`${session.session_id},none`)
  expect(idOf(after, 'session')).toBe('none')
}

describe.each(['turbopack', 'webpack'] as const)('%s', (bundler) => {
  test('next dev', async () => {
    const { origin } = await start(['dev', `--${bundler}`])
    await expectAnswers(origin)
  })

  test('next build, without a database or a secret, and next start', async () => {
    await build(bundler)
    const { routes } = JSON.parse(await readFile(join(app, '.next', 'prerender-manifest.json'), 'utf8'))
    expect(Object.keys(routes)).toContain('/signin')
    expect(Object.keys(routes).filter((route) => route === '/' || route.startsWith('/api'))).toEqual([])
    const { origin } = await start(['start'])
    await expectAnswers(origin)

    const databaseUrl = `postgres://postgres@127.0.0.1:${await freePort()}/postgres`
    const cut = await start(['start'], { DATABASE_URL: databaseUrl })
    const failed = await fetch(`${cut.origin}/api/auth/session`, { headers: { cookie } })
    expect(failed.status).toBe(500)
    expect(await failed.text()).toBe('{"error":"failed_to_get_session"}')
    expect(cut.output()).toContain('authjs-bridge: failed to get the session: ERR_AUTH_BRIDGE_DATABASE')
    expect((await fetch(cut.origin, { headers: { cookie }, redirect: 'manual' })).status).toBe(500)
  })

  test('output: "standalone", from a copied folder, with the app gone', async () => {
    await build(bundler, { STANDALONE: '1' })
    const standalone = await mkdtemp(join(tmpdir(), 'authjs-bridge-standalone-'))
    await cp(join(app, '.next', 'standalone'), standalone, { recursive: true, verbatimSymlinks: true })
    await rename(app, `${app}-gone`)
    try {
      const { origin, stop } = await start({ standalone })
      await expectAnswers(origin)
      await stop()
    } finally {
      await rename(`${app}-gone`, app)
      await rm(standalone, { recursive: true })
    }
  })

  test('without the line in next.config the build fails with what the documentation shows', async () => {
    const error = await build(bundler, { WITHOUT_LINE: '1' }).catch(String)
    const [file = '', reason = ''] = ERRORS[bundler].split('\n')
    expect(file).toMatch(/^\.\/node_modules\/authjs-bridge/)
    expect(reason).not.toBe('')
    expect(error).toContain(file)
    expect(error).toContain(reason)
  })

  describe('the edge runtime', () => {
    beforeAll(async () => {
      await mkdir(join(app, 'app', 'edge'))
      const route = (await readFile(join(app, 'app', 'api', 'hand', 'route.ts'), 'utf8')) + EDGE
      await writeFile(join(app, 'app', 'edge', 'route.ts'), route)
    })
    afterAll(() => rm(join(app, 'app', 'edge'), { recursive: true }))

    const EDGE = `\nexport const runtime = 'edge'\n`
    const MESSAGE = 'authjs-bridge is a native module, which neither the edge runtime nor a browser can load.'
    const ADVICE = "In a route, page or layout say: export const runtime = 'nodejs'"

    test('is refused by next build, which says what to do', async () => {
      const error = await build(bundler).catch(String)
      expect(error).toContain(MESSAGE)
      expect(error).toContain(ADVICE)
    })

    test('is refused by next dev, which says what to do', async () => {
      const { origin, output } = await start(['dev', `--${bundler}`])
      expect((await fetch(`${origin}/edge`)).status).toBe(500)
      expect(output()).toContain(MESSAGE)
      expect(output()).toContain(ADVICE)
      expect(await (await fetch(`${origin}/api/hand`)).text()).toBe('{}')
    })
  })
})
