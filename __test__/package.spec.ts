import { execFileSync } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { parseTriple } from '@napi-rs/cli'
import { publint } from 'publint'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { makeTarballs } from '../scripts/tarballs.mjs'
import { PLATFORMS } from '../unavailable.js'
import { dynamicSymbols, OF_OPENSSL } from './support/binary.js'
import { brokenLinks, PAGES } from './support/pages.js'

const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('..', import.meta.url))

describe('the packages', () => {
  let folder: string
  let main: string
  let platform: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-package-'))
    const tarballs = makeTarballs({ output: folder })
    expect(tarballs).toHaveLength(2)
    ;[main = '', platform = ''] = tarballs
  })
  afterAll(() => rm(folder, { recursive: true }))

  function filesOf(tarball: string) {
    const paths = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split('\n')
    return paths.map((path) => path.replace('package/', '')).sort()
  }

  function manifestOf(tarball: string) {
    return JSON.parse(execFileSync('tar', ['-xzOf', tarball, 'package/package.json'], { encoding: 'utf8' }))
  }

  /** An ArrayBuffer of its own: `readFile` reads small files into a shared one. */
  const contentOf = async (tarball: string) => new Uint8Array(await readFile(tarball)).buffer

  test('contain exactly these files', () => {
    expect(filesOf(main)).toEqual([
      'LICENSE',
      'README.md',
      'binding.js',
      'cli/advice.js',
      'cli/doctor.js',
      'cli/env-files.js',
      'cli/environment.js',
      'cli/explain.js',
      'cli/index.js',
      'cli/manage.js',
      'cli/native.js',
      'cli/prune.js',
      'cli/revoke.js',
      'cli/schema.js',
      'cli/sessions.js',
      'cli/terminal.js',
      'cli/usage-error.js',
      'device.js',
      ...PAGES.filter((page) => page.startsWith('docs/')),
      'edge.js',
      'index.d.ts',
      'index.js',
      'next-auth/adopt.js',
      'next-auth/callbacks.js',
      'next-auth/edge.js',
      'next-auth/index.d.ts',
      'next-auth/index.js',
      'next-auth/request.js',
      'next-auth/settings.js',
      'next/auth.js',
      'next/cookies.js',
      'next/index.d.ts',
      'next/index.js',
      'next/log.js',
      'next/modules.js',
      'next/options.js',
      'next/paths.js',
      'next/proxy.js',
      'next/rolling.js',
      'next/route.js',
      'next/session.js',
      'package.json',
      'schema.sql',
      'schema/auth-adapter.sql',
      'schema/drizzle.sql',
      'schema/notify.sql',
      'schema/prisma.sql',
      'schema/single-tenant.sql',
      'unavailable.js',
    ])
    const name = `authjs-bridge.${manifestOf(platform).name.replace('authjs-bridge-', '')}.node`
    expect(filesOf(platform)).toEqual(['LICENSE', 'README.md', 'THIRD-PARTY-LICENSES', name, 'package.json'])
  })

  test('hold pages whose links lead somewhere from where they are installed', () => {
    execFileSync('tar', ['-xzf', main, '-C', folder])
    const installed = join(folder, 'package')
    const pages = filesOf(main).filter((path) => path.endsWith('.md'))
    expect(pages).toEqual(PAGES)
    expect(pages.flatMap((page) => brokenLinks(page, installed).map((link) => `${page}: ${link}`))).toEqual([])
  })

  test('depend on nothing but the native part, in the same version, and a parser of user agents', () => {
    const { name, version, dependencies, optionalDependencies } = manifestOf(main)
    expect({ name, dependencies }).toEqual({ name: 'authjs-bridge', dependencies: { bowser: expect.any(String) } })
    expect(optionalDependencies).toEqual({ [manifestOf(platform).name]: version })
    expect(manifestOf(platform)).toMatchObject({ version, os: [process.platform], cpu: [process.arch] })
  })

  test('have no install scripts', () => {
    const scripts = [main, platform].flatMap((tarball) => Object.keys(manifestOf(tarball).scripts ?? {}))
    expect(scripts.filter((name) => /^(pre|post)?(install|prepare)$|^dependencies$/.test(name))).toEqual([])
  })

  test('pass publint', async () => {
    expect(await publint({ pack: { tarball: await contentOf(main) } })).toMatchObject({ messages: [] })
    // It suggests a field `type`, which the napi CLI doesn't write for packages without JavaScript.
    const options = { level: 'warning', pack: { tarball: await contentOf(platform) } } as const
    expect(await publint(options)).toMatchObject({ messages: [] })
  })

  test('have the right types for each way to import them', async () => {
    const analysis = await checkPackage(createPackageFromTarballData(await readFile(main)), {
      excludeEntrypoints: ['./schema.sql'],
    })
    if (!analysis.types) throw new Error('no types found')
    expect(Object.keys(analysis.entrypoints)).toContain('.')
    expect(analysis.problems).toEqual([])
  })
})

test('unavailable.js knows each platform that has a build', async () => {
  const { name, napi } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const built = napi.targets.map((triple: string) => `${name}-${parseTriple(triple).platformArchABI}`)
  expect(PLATFORMS.map((platform) => platform.name).sort()).toEqual(built.sort())
})

describe.runIf(process.platform === 'linux')('where the system has glibc and Node.js has musl', () => {
  const [gnu = '', musl = ''] = ['glibc', 'musl'].map(
    (libc) => PLATFORMS.find((platform) => platform.cpu === process.arch && platform.libc === libc)?.name ?? '',
  )
  /** What the loader and this package look at to tell them apart. */
  const preload = `
    const fs = require('fs')
    const { readFileSync } = fs
    fs.readFileSync = (path, ...more) => (path === '/usr/bin/ldd' ? 'GNU libc' : readFileSync(path, ...more))
    process.report.getReport = () => ({ header: {}, sharedObjects: ['/lib/ld-musl-x86_64.so.1'] })`
  const script = `
    try { console.log(require('./index.js').getSession()) } catch ({ code, message }) { console.log(code, message) }`

  async function load(packages: Record<string, string>) {
    const folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-musl-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    for (const file of ['binding.js', 'device.js', 'index.js', 'unavailable.js'])
      await copyFile(join(root, file), join(folder, file))
    await writeFile(join(folder, 'preload.js'), preload)
    for (const [name, text] of Object.entries(packages)) {
      await mkdir(join(folder, 'node_modules', name), { recursive: true })
      await writeFile(join(folder, 'node_modules', name, 'index.js'), text)
      await writeFile(join(folder, 'node_modules', name, 'package.json'), '{"version":"0.1.0"}')
    }
    return execFileSync(process.execPath, ['-r', './preload.js', '-e', script], {
      cwd: folder,
      encoding: 'utf8',
    }).trim()
  }

  const REFUSED = `throw new Error('Error loading shared library libgcc_s.so.1: No such file or directory')`
  const RIGHT = `exports.getSession = () => 'musl'; exports.AuthBridge = class { refreshSession() {} }`

  test.each([
    ['alone', { [musl]: RIGHT }],
    ["beside glibc's", { [musl]: RIGHT, [gnu]: REFUSED }],
  ])('the package for musl is loaded, %s', async (_, packages) => {
    expect(await load(packages)).toBe('musl')
  })

  test.each([
    ['without any package', {}],
    ['with the one for glibc', { [gnu]: REFUSED }],
  ])('%s the error names the one for musl', async (_, packages) => {
    expect(await load(packages)).toContain(
      `ERR_AUTH_BRIDGE_CONFIG authjs-bridge lacks its native part for linux ${process.arch} (musl): the package ${musl} is not installed.`,
    )
  })
})

test('require and import have the names that the types declare', async () => {
  const types = await readFile(join(root, 'index.d.ts'), 'utf8')
  const declared = [...types.matchAll(/^export declare (?:class|const|function) (\w+)/gm)].map(([, name]) => name)
  expect(declared).toContain('getSession')
  expect(Object.keys(require('../index.js')).sort()).toEqual(declared.sort())
  expect(Object.keys(await import('../index.js')).sort()).toEqual([...declared, 'default'].sort())
})

describe.runIf(process.platform === 'linux')('the binary', () => {
  let binary: string

  beforeAll(async () => {
    binary = join(root, (await readdir(root)).find((file) => file.endsWith('.node')) ?? 'missing.node')
  })

  test('exports only the entry point of Node-API', () => {
    expect(dynamicSymbols(binary, '--defined-only')).toEqual(['napi_register_module_v1'])
  })

  test('imports no function of OpenSSL from Node.js', () => {
    const imported = dynamicSymbols(binary, '--undefined-only')
    expect(imported).toContainEqual(expect.stringMatching(/^malloc/))
    expect(imported.filter((name) => OF_OPENSSL.test(name))).toEqual([])
  })
})
