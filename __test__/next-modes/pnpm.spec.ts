// A pnpm workspace in which a package depends on this one, and the app only on that package.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { makeTarballs } from '../../scripts/tarballs.mjs'
import { next, run, serve } from '../support/apps.mjs'
import { read } from '../support/pages.js'
import { freePort } from '../support/postgres.mjs'

const HOIST = "publicHoistPattern: ['authjs-bridge']"
const ROUTE = `
import { getSession } from '@acme/auth'
export const GET = async (request) => Response.json(await getSession(request.headers.get('cookie')))`

test('the page names the setting that is tried here', () => {
  expect(read('docs/nextjs.md')).toContain(`\`${HOIST}\``)
})

test.each([
  ['with nothing else, says what it says of any native module', { built: false }],
  ['as a dependency of the app, too, has it', { built: true, dependency: true }],
  ['with the setting in pnpm-workspace.yaml has it', { built: true, setting: HOIST }],
])('webpack, %s', async (_, { built, dependency, setting = '' }: Cure) => {
  const folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-pnpm-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const [main, native] = makeTarballs({ output: join(folder, 'tarballs') })
  const own = { 'authjs-bridge': `file:${main}` }
  const files = {
    'package.json': { private: true },
    // The registry has no native part of this build.
    'pnpm-workspace.yaml': `packages: ['app', 'auth']\noverrides: { authjs-bridge-linux-x64-gnu: 'file:${native}' }\n${setting}\n`,
    'auth/package.json': { name: '@acme/auth', main: 'index.js', dependencies: own },
    'auth/index.js': `export { getSession } from 'authjs-bridge'`,
    'app/package.json': {
      name: 'app',
      dependencies: {
        ...{ '@acme/auth': 'workspace:*', next: '16.4.6', react: '19.3.1', 'react-dom': '19.3.1' },
        ...(dependency ? own : {}),
      },
    },
    'app/next.config.mjs': `export default { serverExternalPackages: ['authjs-bridge'], transpilePackages: ['@acme/auth'] }`,
    'app/app/route.js': ROUTE,
  }
  for (const [file, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, file)), { recursive: true })
    await writeFile(join(folder, file), typeof content === 'string' ? content : JSON.stringify(content))
  }
  await run('npx', ['--yes', 'pnpm@10', 'install', '--no-frozen-lockfile'], { cwd: folder })

  const app = join(folder, 'app')
  const build = run(...next(app, ['build', '--webpack']), { cwd: app })
  if (!built) return expect(build).rejects.toThrow('Module parse failed: Unexpected character')
  await build
  const port = String(await freePort())
  const server = await serve(...next(app, ['start', '--port', port]), { cwd: app, ready: /Ready in/ })
  onTestFinished(() => server.stop())
  expect(await (await fetch(`http://localhost:${port}`)).json()).toEqual({})
})

interface Cure {
  built: boolean
  dependency?: boolean
  setting?: string
}
