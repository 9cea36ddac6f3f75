// Installs the small app of `__test__/next/app` with this package as users do, and tests it in each way to run it.

import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect } from 'vitest'
import { AuthBridge } from '../../index.js'
import { installWithPackage, next, ROOT, run, serve } from './apps.mjs'
import { SECRET } from './bridges.js'
import { mintCookie } from './cookies.mjs'
import { useDatabase } from './database.js'
import { documented } from './documented-app.js'
import { freePort } from './postgres.mjs'
import { claimsOf, createSession, createUser } from './tenants.mjs'

export const BUNDLERS = ['turbopack', 'webpack'] as const
export type Bundler = (typeof BUNDLERS)[number]

const FIXTURE = join(ROOT, '__test__', 'next', 'app')
const EXAMPLE = join(ROOT, 'examples', 'nextjs')

/** Installs an app for one test file, with the version of Next.js of the example by default. Each test has a user with a session. */
export function useApp(version: '16' | '15.5' = '16') {
  const database = useDatabase()
  let bridge: AuthBridge
  let folder: string
  let app: string
  beforeAll(async () => {
    bridge = new AuthBridge({ secret: SECRET, databaseUrl: database.url, secureCookie: false })
    folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-next-'))
    app = join(folder, 'app')
    await cp(FIXTURE, app, { recursive: true })
    await writeFile(join(app, 'instrumentation.ts'), documented('docs/nextjs.md', 'instrumentation.ts'))
    for (const file of ['package.json', 'package-lock.json']) await cp(join(EXAMPLE, file), join(app, file))
    await installWithPackage(app, ...(version === '16' ? [] : [`next@${version}`]))
    if (version !== '16') await renameProxy(app)
  })
  afterAll(async () => {
    await bridge?.close()
    if (folder) await rm(folder, { recursive: true })
  })

  /** A user with a session, and a `Cookie` header. */
  async function signIn() {
    const user = await createUser(database.client)
    const session = await createSession(database.client, user)
    return { session, cookie: await mintCookie(claimsOf(user, session), { secret: SECRET }) }
  }

  let { cookie, session } = {} as Awaited<ReturnType<typeof signIn>>
  beforeEach(async () => {
    ;({ cookie, session } = await signIn())
  })

  const open: Awaited<ReturnType<typeof serve>>[] = []
  const stopAll = async () => {
    await Promise.all(open.splice(0).map((server) => server.stop()))
  }

  /** Starts the app by a command of Next.js, or a standalone build of it. */
  async function start(args: string[] | { standalone: string }, env: Record<string, string | undefined> = {}) {
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
  async function build(bundler: Bundler, env: Record<string, string> = {}) {
    await rm(join(app, '.next'), { recursive: true, force: true })
    await run(...next(app, ['build', ...bundlerFlag(bundler, version)]), { cwd: app, env })
  }

  /** Asserts the responses of the running app. */
  async function expectResponses(origin: string) {
    const get = (path: string, init: RequestInit = {}) => fetch(origin + path, { redirect: 'manual', ...init })
    const signedIn = { headers: { cookie } }
    const text = async (path: string, init?: RequestInit) => (await get(path, init)).text()
    const idOf = (html: string, id: string) => html.match(new RegExp(`<p id="${id}">([^<]*)</p>`))?.[1]

    const body = await bridge.getSessionJson(cookie)
    for (const path of ['/api/auth/session', '/api/null', '/api/hand', '/api/own']) {
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

    // Sends the form like a browser without JavaScript, so that one request runs the action and renders the page.
    const form = new FormData()
    form.set(page.match(/name="(\$ACTION_ID_\w+)"/)?.[1] ?? 'no action', '')
    const after = await text('/', { ...signedIn, method: 'POST', body: form })
    expect(idOf(after, 'notes')).toBe(`${session.session_id},none`)
    expect(idOf(after, 'session')).toBe('none')
  }

  /** Tests `next dev`. */
  async function expectToDevelop(bundler: Bundler) {
    const { origin } = await develop(bundler)
    await expectResponses(origin)
  }

  /** Tests `next dev` and an edit of `.env.local` while it runs. */
  async function expectToNoticeAnEdit(bundler: Bundler) {
    const file = join(app, '.env.local')
    await writeFile(file, `AUTH_SECRET="${SECRET} that was replaced"\n`)
    try {
      const { origin } = await develop(bundler, { AUTH_SECRET: undefined })
      const read = async () => (await fetch(`${origin}/api/auth/session`, { headers: { cookie } })).text()
      expect(await read()).toBe('{}')
      await writeFile(file, `AUTH_SECRET="${SECRET}"\n`)
      await expect.poll(read).toBe(await bridge.getSessionJson(cookie))
    } finally {
      await rm(file)
    }
  }

  /** Tests `next build` without a database or a secret, then `next start`. */
  async function expectToBuildAndStart(bundler: Bundler) {
    await build(bundler)
    const { routes } = JSON.parse(await readFile(join(app, '.next', 'prerender-manifest.json'), 'utf8'))
    expect(Object.keys(routes)).toContain('/signin')
    expect(Object.keys(routes).filter((route) => route === '/' || route.startsWith('/api'))).toEqual([])
    const { origin } = await start(['start'])
    await expectResponses(origin)

    const databaseUrl = `postgres://postgres@127.0.0.1:${await freePort()}/postgres`
    const withoutDatabase = await start(['start'], { DATABASE_URL: databaseUrl })
    const failed = await fetch(`${withoutDatabase.origin}/api/auth/session`, { headers: { cookie } })
    expect(failed.status).toBe(500)
    expect(await failed.text()).toBe('{"error":"failed_to_get_session"}')
    expect(withoutDatabase.output()).toContain('authjs-bridge: failed to get the session: ERR_AUTH_BRIDGE_DATABASE')
    expect((await fetch(withoutDatabase.origin, { headers: { cookie }, redirect: 'manual' })).status).toBe(500)
  }

  /** Starts `next dev`. */
  const develop = (bundler: Bundler, env?: Record<string, string | undefined>) =>
    start(['dev', ...bundlerFlag(bundler, version)], env)

  return {
    folder: () => app,
    client: database.client,
    signIn,
    start,
    stopAll,
    develop,
    build,
    expectResponses,
    expectToDevelop,
    expectToNoticeAnEdit,
    expectToBuildAndStart,
  }
}

/** Next.js 15.5 has no option for webpack, which is its default. */
export function bundlerFlag(bundler: Bundler, version: '16' | '15.5') {
  return version === '15.5' && bundler === 'webpack' ? [] : [`--${bundler}`]
}

/** Before Next.js 16 the proxy is called middleware, and runs on the edge runtime unless it says otherwise: see docs/nextjs.md. */
async function renameProxy(app: string) {
  const proxy = await readFile(join(app, 'proxy.ts'), 'utf8')
  const middleware = proxy
    .replace('export { proxy }', 'import { proxy }')
    .replace(
      'export const config = { ',
      "export const middleware = proxy\n\nexport const config = { runtime: 'nodejs', ",
    )
  await rm(join(app, 'proxy.ts'))
  await writeFile(join(app, 'middleware.ts'), middleware)
}
