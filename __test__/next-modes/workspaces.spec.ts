// Workspaces in which a package depends on this one, and the app only on that package: with each package manager, both bundlers, and the
// ways to deploy a build. What `docs/frameworks.md` says to add is taken from there.

import { cp, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { makeTarballs } from '../../scripts/tarballs.mjs'
import { next, ROOT, run, serve } from '../support/apps.mjs'
import { SECRET } from '../support/bridges.js'
import { mintCookie } from '../support/cookies.mjs'
import { useDatabase } from '../support/database.js'
import { documented } from '../support/documented-app.js'
import { BUNDLERS, type Bundler, bundlerFlag } from '../support/next-app.js'
import { read } from '../support/pages.js'
import { freePort } from '../support/postgres.mjs'
import { claimsOf, createSession, createUser } from '../support/tenants.mjs'

const PAGE = 'docs/frameworks.md'
const INSTALL_AND_BUILD = 15 * 60_000
/** Lines for pnpm-workspace.yaml. */
const HOIST = "publicHoistPattern: ['authjs-bridge']"
const LINKER = 'nodeLinker: hoisted'

/** The commands that install all dependencies, and those of production by the lock file. */
const MANAGERS = {
  npm: [['install'], ['ci', '--omit=dev']],
  yarn: [['install'], ['install', '--production', '--frozen-lockfile']],
  pnpm: [
    ['install', '--no-frozen-lockfile'],
    ['install', '--prod', '--frozen-lockfile'],
  ],
}

interface Case {
  manager: keyof typeof MANAGERS
  version: '15.5' | '16'
  /** For pnpm-workspace.yaml. */
  line?: string
  bundlers?: readonly Bundler[]
}
const CASES: [name: string, Case][] = [
  ['npm, Next.js 16', { manager: 'npm', version: '16' }],
  ['yarn, Next.js 15.5', { manager: 'yarn', version: '15.5' }],
  ['pnpm, Next.js 16', { manager: 'pnpm', version: '16', bundlers: ['turbopack'] }],
  [`pnpm, Next.js 16, ${HOIST}`, { manager: 'pnpm', version: '16', bundlers: ['webpack'], line: HOIST }],
  [`pnpm, Next.js 16, ${LINKER}`, { manager: 'pnpm', version: '16', line: LINKER }],
]

const { client, url } = useDatabase()
let folder: string
let main: string
let native: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-workspaces-'))
  ;[main = '', native = ''] = makeTarballs({ output: join(folder, 'tarballs') })
})
afterAll(() => rm(folder, { recursive: true }))

test.each([HOIST, LINKER])('the page names the line that is tried here: %s', (line) => {
  expect(read(PAGE)).toContain(`\`${line}\``)
})

test('a pnpm workspace without a line: webpack says what it says of any native module', async () => {
  const root = join(folder, 'without')
  await install(root, { manager: 'pnpm', version: '16' })
  await expect(build(root, 'webpack', '16')).rejects.toThrow('Module parse failed: Unexpected character')
})

describe.each(CASES)('%s', (_, { bundlers = BUNDLERS, ...each }) => {
  const { manager, version, line } = each
  let root: string
  let fresh: string
  beforeAll(async () => {
    root = await mkdtemp(join(folder, `${manager}-`))
    fresh = `${root}-fresh`
    await install(root, each)
    for (const bundler of bundlers) await build(root, bundler, version)
    // All but what is installed, as into an image. The `node_modules` in a build of Turbopack belongs to the build.
    const isCopied = (path: string) =>
      !/^((apps|packages)\/\w+\/)?node_modules$|\/standalone$/.test(relative(root, path))
    await cp(root, fresh, { recursive: true, verbatimSymlinks: true, filter: isCopied })
    await runManager(manager, MANAGERS[manager][1], fresh)
  }, INSTALL_AND_BUILD)

  describe.each(bundlers)('%s', (bundler) => {
    const output = outputOf(bundler)

    test('next start', () => {
      const app = join(root, 'apps', 'web')
      return expectSessions(...next(app, ['start']), app, output)
    })

    test.each(['-r', '-rL'])('output: "standalone", copied by cp %s', async (option) => {
      const copy = `${root}-copy`
      await run('cp', [option, join(root, 'apps', 'web', output, 'standalone'), copy], { cwd: folder })
      onTestFinished(() => rm(copy, { recursive: true }))
      const works = without(root, () =>
        expectSessions(process.execPath, ['server.js'], join(copy, 'apps', 'web'), output),
      )
      // The packages of pnpm find each other by links: Next.js lacks its own.
      if (manager === 'pnpm' && line !== LINKER && option === '-rL')
        await expect(works).rejects.toThrow('Cannot find module')
      else await works
    })

    test('.next, beside production dependencies that were installed anew', () => {
      const app = join(fresh, 'apps', 'web')
      return without(root, () => expectSessions(...next(app, ['start']), app, output))
    })
  })
})

const LAYOUT = 'export default ({ children }) => <html><body>{children}</body></html>'
const ROUTE = `
import { getSession } from '@acme/auth'
export const GET = async (request) => Response.json(await getSession(request.headers.get('cookie')))`
const PAGE_OF_APP = `
import { auth } from '@acme/auth'
export default async () => <p>{(await auth())?.session_id ?? 'none'}</p>`
const PROXY_16 = `export { proxy } from '@acme/auth'`
const MIDDLEWARE = `
import { proxy } from '@acme/auth'
export const middleware = proxy
export const config = { runtime: 'nodejs' }`

/** Writes the workspace and installs its dependencies. */
async function install(root: string, { manager, version, line = '' }: Case) {
  const overrides = { 'authjs-bridge-linux-x64-gnu': `file:${native}` }
  const local = manager === 'pnpm' ? 'workspace:*' : '*'
  const react = '19.3.1'
  const files = {
    // The registry has no native part of this build. yarn and pnpm call it resolutions.
    'package.json': { private: true, workspaces: ['apps/*', 'packages/*'], overrides, resolutions: overrides },
    'packages/auth/package.json': {
      ...{ name: '@acme/auth', version: '1.0.0', main: 'index.ts' },
      dependencies: { 'authjs-bridge': `file:${main}` },
    },
    'packages/auth/index.ts': documented(PAGE, 'packages/auth/index.ts'),
    'apps/web/package.json': {
      ...{ name: 'web', version: '1.0.0', private: true },
      dependencies: { '@acme/auth': local, next: version, react, 'react-dom': react },
    },
    'apps/web/documented.config.mjs': documented(PAGE, 'apps/web/next.config.mjs'),
    'apps/web/next.config.mjs': `import config from './documented.config.mjs'\nexport default { ...config, distDir: process.env.OUTPUT }`,
    'apps/web/app/layout.jsx': LAYOUT,
    'apps/web/app/page.jsx': PAGE_OF_APP,
    'apps/web/app/api/session/route.js': ROUTE,
    [version === '16' ? 'apps/web/proxy.js' : 'apps/web/middleware.js']: version === '16' ? PROXY_16 : MIDDLEWARE,
    ...(manager === 'pnpm' ? { 'pnpm-workspace.yaml': `packages: ['apps/*', 'packages/*']\n${line}\n` } : {}),
  }
  for (const [file, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, file)), { recursive: true })
    await writeFile(join(root, file), typeof content === 'string' ? content : JSON.stringify(content))
  }
  await runManager(manager, MANAGERS[manager][0], root)
}

const runManager = (manager: Case['manager'], args: string[], cwd: string) =>
  run(manager === 'npm' ? 'npm' : join(ROOT, 'node_modules', '.bin', manager), args, { cwd, env: { CI: '1' } })

const outputOf = (bundler: Bundler) => `.next-${bundler}`

/** Builds the app, without a database or a secret. */
async function build(root: string, bundler: Bundler, version: Case['version']) {
  const app = join(root, 'apps', 'web')
  const args = next(app, ['build', ...bundlerFlag(bundler, version)])
  await run(...args, { cwd: app, env: { OUTPUT: outputOf(bundler) } })
}

/** Runs while a folder is away. */
async function without(path: string, act: () => Promise<void>) {
  await rename(path, `${path}-away`)
  try {
    await act()
  } finally {
    await rename(`${path}-away`, path)
  }
}

/** Starts the app, which must read sessions in a route and in a page, and roll them in its proxy. */
async function expectSessions(command: string, args: string[], cwd: string, output: string) {
  const port = String(await freePort())
  const origin = `http://localhost:${port}`
  const env = { PORT: port, AUTH_SECRET: SECRET, AUTH_URL: origin, DATABASE_URL: url, OUTPUT: output }
  const server = await serve(command, args, { cwd, env, ready: /Ready in/ })
  try {
    const user = await createUser(client)
    const session = await createSession(client, user)
    const headers = { cookie: await mintCookie(claimsOf(user, session), { secret: SECRET }) }
    expect(await (await fetch(`${origin}/api/session`)).json()).toEqual({})
    expect(await (await fetch(`${origin}/api/session`, { headers })).json()).toMatchObject({
      session_id: session.session_id,
    })
    const page = await fetch(origin, { headers })
    expect(await page.text()).toContain(`<p>${session.session_id}</p>`)
    expect(page.headers.getSetCookie()).toEqual([expect.stringMatching(/^authjs\.session-token=ey/)])
  } finally {
    await server.stop()
  }
}
