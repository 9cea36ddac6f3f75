// Installs the tarballs with npm, on a machine without build tools, also without the native part. The native part is that of
// `npm run build`, or the one in the folder ARTIFACTS.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import bowser from 'bowser/package.json' with { type: 'json' }
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PACKAGES } from '../../native.js'
import manifest from '../../package.json' with { type: 'json' }
import { makeTarballs } from '../../scripts/tarballs.mjs'
import { bareMachine } from '../support/bare-machine.js'
import { SECRET } from '../support/bridges.js'
import { mintCookie } from '../support/cookies.mjs'
import { useDatabase } from '../support/database.js'
import { manifestOf, startRegistry } from '../support/registry.js'
import { claimsOf, createSession, createUser } from '../support/tenants.mjs'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const ARTIFACTS = resolve(ROOT, process.env.ARTIFACTS ?? '.')
const NATIVE = 'authjs-bridge-linux-x64-gnu'
const BINARY = 'authjs-bridge.linux-x64-gnu.node'
const NAMES = Object.values(PACKAGES)
const BOWSER = `bowser-${bowser.version}.tgz`
const MISSING = `authjs-bridge lacks its native part for linux x64 (glibc): the package ${NATIVE} is not installed.
The usual causes:
- npm did not install optional dependencies. Install them, too:
    npm install --include=optional
- The lock file or node_modules comes from another platform. Delete both and install again:
    rm -rf node_modules package-lock.json && npm install
- It was built from source, and only one of its two tarballs was installed. Install both together:
    npm install /path/to/tarballs/*.tgz`

const database = useDatabase()
let packed: string
let tarballs: string[]
let released: string[]
let registry: Awaited<ReturnType<typeof startRegistry>>
let machine: Awaited<ReturnType<typeof bareMachine>>

beforeAll(async () => {
  packed = await mkdtemp(join(tmpdir(), 'authjs-bridge-packed-'))
  const own = join(packed, 'own')
  await mkdir(own)
  await copyFile(join(ARTIFACTS, BINARY), join(own, BINARY))
  tarballs = makeTarballs({ artifacts: own, output: packed })
  released = await tarballsForAllPlatforms()
  registry = await startRegistry([...released, packDependency('bowser')])
  machine = await bareMachine(registry.url)
})
afterAll(async () => {
  await machine.dispose()
  await registry.close()
  await rm(packed, { recursive: true })
})

/** The tarball of a package that is installed here. */
function packDependency(name: string) {
  const options = ['--silent', '--ignore-scripts', '--pack-destination', packed]
  return join(
    packed,
    execFileSync('npm', ['pack', join(ROOT, 'node_modules', name), ...options], { encoding: 'utf8' }).trim(),
  )
}

/** The tarballs of a release. Those for platforms that are not in ARTIFACTS contain no real binary. */
async function tarballsForAllPlatforms() {
  const artifacts = join(packed, 'artifacts')
  await mkdir(artifacts)
  for (const name of NAMES) {
    const file = `${name.replace('authjs-bridge-', 'authjs-bridge.')}.node`
    const built = join(ARTIFACTS, file)
    if (existsSync(built)) await copyFile(built, join(artifacts, file))
    else await writeFile(join(artifacts, file), 'for another platform')
  }
  return makeTarballs({ artifacts, output: join(packed, 'all'), all: true })
}

const print = 'console.log(JSON.stringify([await getSession(process.env.COOKIE), typeof AuthBridge]))'
const scripts = {
  'script.cjs': `const { AuthBridge, getSession } = require('authjs-bridge')\n;(async () => { ${print} })()`,
  'script.mjs': `import { AuthBridge, getSession } from 'authjs-bridge'\n${print}`,
  'script.mts': `import { AuthBridge, getSession, type AuthSessionResponse } from 'authjs-bridge'
declare const process: { env: Record<string, string | undefined> }
const session: AuthSessionResponse = await getSession(process.env.COOKIE)
const email: string = session.user ? session.user.email : 'nobody'
console.log(JSON.stringify([session, typeof AuthBridge, email]))`,
}

/** Prints the error of an import. */
const failure = `(error) => console.log(JSON.stringify({ code: error.code, message: error.message, cause: error.cause?.message }))`
const requiring = ['-e', `try { require('authjs-bridge') } catch (error) { (${failure})(error) }`]
const importing = ['--input-type=module', '-e', `await import('authjs-bridge').catch(${failure})`]
const using = ['-e', `require('authjs-bridge').getSession('theme=dark').then((body) => console.log(body))`]

describe('both tarballs in an empty folder', () => {
  let folder: string
  let environment: Record<string, string>
  let body: object

  beforeAll(async () => {
    folder = await machine.emptyFolder('tarballs')
    await machine.succeed(folder, 'npm', ['install', ...tarballs])
    for (const [name, source] of Object.entries(scripts)) await writeFile(join(folder, name), source)
    const user = await createUser(database.client)
    const claims = claimsOf(user, await createSession(database.client, user))
    const cookie = await mintCookie(claims, { secret: SECRET })
    environment = { COOKIE: cookie, AUTH_SECRET: SECRET, AUTH_URL: 'http://localhost', DATABASE_URL: database.url }
    body = {
      session_id: claims.session_id,
      login_method: 'credentials',
      user: expect.objectContaining({ id: user.user_id, email: 'ada@example.com', tenant: user.tenant }),
    }
  })

  test('need no compiler, no Rust, no sources, and no other package but the parser of user agents', async () => {
    for (const tool of ['cargo', 'rustc', 'cc', 'gcc', 'clang', 'make', 'perl', 'python3']) {
      expect(spawnSync(tool, ['--version'], { env: machine.environment }).error).toMatchObject({ code: 'ENOENT' })
    }
    const installed = join(folder, 'node_modules')
    expect((await readdir(installed)).filter((name) => !name.startsWith('.')).sort()).toEqual([
      'authjs-bridge',
      NATIVE,
      'bowser',
    ])
    const files = ['LICENSE', 'README.md', 'THIRD-PARTY-LICENSES', BINARY, 'package.json']
    expect((await readdir(join(installed, NATIVE))).sort()).toEqual(files)
    expect(registry.takeDownloads()).toEqual([BOWSER])
  })

  test('work in CommonJS', async () => {
    const output = await machine.succeed(folder, 'node', ['script.cjs'], environment)
    expect(JSON.parse(output)).toEqual([body, 'function'])
  })

  test('work in ESM', async () => {
    const output = await machine.succeed(folder, 'node', ['script.mjs'], environment)
    expect(JSON.parse(output)).toEqual([body, 'function'])
  })

  test('work in TypeScript, without other type packages', async () => {
    const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
    const options = ['--strict', '--module', 'nodenext', '--target', 'es2023', '--types', '', '--outDir', 'compiled']
    await machine.succeed(folder, 'node', [compiler, ...options, '--ignoreConfig', 'script.mts'])
    const output = await machine.succeed(folder, 'node', ['compiled/script.mjs'], environment)
    expect(JSON.parse(output)).toEqual([body, 'function', 'ada@example.com'])
  })

  test('include the command line', async () => {
    const npx = (...args: string[]) => machine.succeed(folder, 'npx', ['authjs-bridge', ...args], environment)
    expect(await npx('doctor', '--help')).toMatch(/^Usage: npx authjs-bridge doctor/)
    expect(JSON.parse(await npx('doctor', '--json'))).toMatchObject({ ok: true })
  })
})

describe('what npm would publish', () => {
  const MEGABYTE = 1e6
  let nothing: Awaited<ReturnType<typeof startRegistry>>
  let folder: string
  beforeAll(async () => {
    nothing = await startRegistry([])
    folder = await machine.emptyFolder('publish')
  })
  afterAll(() => nothing.close())

  /** As `release.yml` does, but for a registry that has no package yet. */
  async function dryRun(name: string) {
    const tarball = released.find((path) => manifestOf(path).name === name) ?? `${name} is missing`
    const options = ['--dry-run', '--provenance', '--access=public', '--json', '--loglevel=error']
    const args = ['publish', tarball, ...options, `--registry=${nothing.url}`]
    const found = JSON.parse(await machine.succeed(folder, 'npm', args))
    // npm 11 tells the name first.
    const { id, size, files } = found[name] ?? found
    return { id, size, files: files.map(({ path }: { path: string }) => path), manifest: manifestOf(tarball) }
  }
  const { version, repository, license, engines } = manifest

  test.each(Object.entries(PACKAGES))('for %s', async (platform, name) => {
    const [os, cpu, libc] = platform.split(/[ ()]+/)
    const published = await dryRun(name)
    const file = `${name.replace('authjs-bridge-', 'authjs-bridge.')}.node`
    expect(published).toMatchObject({
      id: `${name}@${version}`,
      files: ['LICENSE', 'README.md', 'THIRD-PARTY-LICENSES', file, 'package.json'],
      // npm compares the repository with the one that the provenance tells of.
      manifest: { version, repository, license, engines, main: file, os: [os], cpu: [cpu] },
    })
    expect(published.manifest.libc).toEqual(libc ? [libc] : undefined)
    expect(published.size).toBeLessThan(6 * MEGABYTE)
  })

  test('as the main package', async () => {
    const published = await dryRun('authjs-bridge')
    expect(published).toMatchObject({ id: `authjs-bridge@${version}`, manifest: { version, repository } })
    expect(published.manifest.optionalDependencies).toEqual(Object.fromEntries(NAMES.map((name) => [name, version])))
    expect(published.files.filter((path: string) => path.endsWith('.node'))).toEqual([])
    expect(published.size).toBeLessThan(0.2 * MEGABYTE)
  })
})

test('npm installs one of eight platform packages, the one for this machine', async () => {
  const folder = await machine.emptyFolder('registry')
  await machine.succeed(folder, 'npm', ['install', 'authjs-bridge'])
  expect(registry.takeDownloads()).toEqual(['authjs-bridge-0.1.0.tgz', `${NATIVE}-0.1.0.tgz`, BOWSER])
  expect(await machine.succeed(folder, 'node', using)).toBe('{}')

  const lock = JSON.parse(await readFile(join(folder, 'package-lock.json'), 'utf8'))
  const locked = Object.keys(lock.packages).map((path) => path.replace('node_modules/', ''))
  expect(locked.filter((name) => NAMES.includes(name))).toHaveLength(8)
})

describe('without the platform package', () => {
  /** The command below the cause in the message. */
  const commandFor = (cause: RegExp) =>
    MISSING.split('\n').find((_, index, lines) => cause.test(lines[index - 1] ?? ''))

  async function expectMissing(folder: string) {
    for (const script of [requiring, importing]) {
      const thrown = JSON.parse(await machine.succeed(folder, 'node', script))
      expect(thrown).toEqual({
        code: 'ERR_AUTH_BRIDGE_CONFIG',
        message: MISSING,
        cause: expect.stringContaining(`Cannot find module '${NATIVE}'`),
      })
    }
  }

  async function expectRepairedBy(command: string | undefined, folder: string) {
    await machine.succeed(folder, 'sh', ['-c', command ?? 'false'])
    expect(await machine.succeed(folder, 'node', using)).toBe('{}')
  }

  test('without optional dependencies: the error says so, and its command repairs that', async () => {
    const folder = await machine.emptyFolder('omitted')
    await machine.succeed(folder, 'npm', ['install', '--omit=optional', 'authjs-bridge'])
    await expectMissing(folder)
    await expectRepairedBy(commandFor(/optional dependencies/), folder)
  })

  test('with node_modules of another platform: the error says so, and its command repairs that', async () => {
    const folder = await machine.emptyFolder('copied')
    await machine.succeed(folder, 'npm', ['install', '--os=darwin', '--cpu=arm64', 'authjs-bridge'])
    expect(await readdir(join(folder, 'node_modules'))).toContain('authjs-bridge-darwin-arm64')
    await expectMissing(folder)
    await expectRepairedBy(commandFor(/another platform/), folder)
  })

  test.each([
    ['pnpm', ['--no-optional'], ['--os=darwin', '--cpu=arm64']],
    ['yarn', ['--ignore-optional'], undefined],
    ['bun', ['--omit=optional'], ['--os=darwin', '--cpu=arm64']],
  ])('%s: the error has its words, and its commands repair that', async (manager, omit, elsewhere) => {
    const folder = await machine.emptyFolder(manager)
    await writeFile(join(folder, 'package.json'), '{ "dependencies": { "authjs-bridge": "0.1.0" } }')
    for (const [args, cause] of [
      [omit, /did not install optional/],
      [elsewhere, /another platform/],
    ] as const) {
      if (!args) continue
      await machine.succeed(folder, 'rm', ['-rf', 'node_modules'])
      await machine.succeed(folder, manager, ['install', ...args])
      const { message } = JSON.parse(await machine.succeed(folder, 'node', requiring))
      const lines: string[] = message.split('\n')
      expect(message).not.toMatch(/\bnpm\b/)
      expect(lines.filter((line) => line.includes(`${manager} install`))).toHaveLength(2)
      expect(lines.at(-1)).toBe(`    ${manager} add /path/to/tarballs/*.tgz`)
      await expectRepairedBy(lines[lines.findIndex((line) => cause.test(line)) + 1], folder)
    }
  })

  test('an uncaught error shows the message first', async () => {
    const folder = await machine.emptyFolder('uncaught')
    await machine.succeed(folder, 'npm', ['install', '--omit=optional', 'authjs-bridge'])
    const { code, output } = await machine.run(folder, 'node', ['-e', `require('authjs-bridge')`])
    expect(code).toBe(1)
    expect(output.indexOf(`Error: ${MISSING}`)).toBeGreaterThan(0)
    expect(output.indexOf('Cannot find')).toBeGreaterThan(output.indexOf(MISSING))
  })

  test('the command line prints the same message, and nothing else', async () => {
    const folder = await machine.emptyFolder('command-line')
    await machine.succeed(folder, 'npm', ['install', '--omit=optional', 'authjs-bridge'])
    for (const command of ['doctor', 'explain']) {
      const expected = { code: 1, output: `authjs-bridge: ${MISSING}` }
      expect(await machine.run(folder, 'npx', ['authjs-bridge', command])).toEqual(expected)
    }
    expect(await machine.succeed(folder, 'npx', ['authjs-bridge', '--help'])).toMatch(/doctor/)
  })
})

describe('with a platform package that does not load', () => {
  test('the error has the message of the system', async () => {
    const folder = await machine.emptyFolder('damaged')
    await machine.succeed(folder, 'npm', ['install', 'authjs-bridge'])
    const binary = join(folder, 'node_modules', NATIVE, BINARY)
    await writeFile(binary, 'no shared object')
    const thrown = JSON.parse(await machine.succeed(folder, 'node', requiring))
    expect(thrown).toMatchObject({
      code: 'ERR_AUTH_BRIDGE_CONFIG',
      message: `authjs-bridge can't load its native part for linux x64 (glibc): ${binary}: file too short`,
    })
  })

  test('on an unsupported platform the error lists the supported ones', async () => {
    const folder = await machine.emptyFolder('elsewhere')
    await machine.succeed(folder, 'npm', ['install', 'authjs-bridge'])
    const elsewhere = [`Object.defineProperty(process, 'platform', { value: 'freebsd' })`, requiring[1]].join('\n')
    const thrown = JSON.parse(await machine.succeed(folder, 'node', ['-e', elsewhere]))
    expect(thrown).toMatchObject({
      code: 'ERR_AUTH_BRIDGE_CONFIG',
      message:
        'authjs-bridge has no build for freebsd x64, only for linux x64 (glibc), linux arm64 (glibc), linux x64 (musl), linux arm64 (musl), darwin x64, darwin arm64, win32 x64, win32 arm64.',
    })
  })
})
