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
import { PACKAGES } from '../native.js'
import manifest from '../package.json' with { type: 'json' }
import { makeTarballs } from '../scripts/tarballs.mjs'
import { dynamicSymbols, OF_OPENSSL } from './support/binary.js'
import { brokenLinks, PAGES } from './support/pages.js'
import { HAS_ELF } from './support/platform.js'
import { manifestOf } from './support/registry.js'

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

  /** An ArrayBuffer of its own: `readFile` reads small files into a shared one. */
  const contentOf = async (tarball: string) => new Uint8Array(await readFile(tarball)).buffer

  test('contain exactly these files', () => {
    expect(filesOf(main)).toEqual([
      'LICENSE',
      'README.md',
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
      'native.js',
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

test('native.js knows the package of each platform that has a build', async () => {
  const { name, napi } = manifest
  const built = napi.targets.map((triple) => `${name}-${parseTriple(triple).platformArchABI}`)
  expect(Object.values(PACKAGES).sort()).toEqual(built.sort())
})

describe('the loader', () => {
  const NODE_WITH = { glibc: '\x7fELF\0/lib64/ld-linux-x86-64.so.2\0', musl: '\x7fELF\0/lib/ld-musl-x86_64.so.1\0' }

  /**
   * Loads the package in a folder of its own, where the native part is `packages`: each tells its name.
   *
   * @param program what the file of Node.js has
   * @param before runs first
   */
  async function load(packages: string[], { program = '', before = '', version = manifest.version } = {}) {
    const folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-loader-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    for (const file of ['device.js', 'index.js', 'native.js', 'package.json', 'unavailable.js'])
      await copyFile(join(root, file), join(folder, file))
    await writeFile(join(folder, 'program'), program, 'latin1')
    for (const name of packages) {
      await mkdir(join(folder, 'node_modules', name), { recursive: true })
      const text = `
        exports.versions = () => ({ authjsBridge: '${version}' })
        exports.getSession = () => '${name}'
        exports.AuthBridge = class { refreshSession() {} }`
      await writeFile(join(folder, 'node_modules', name, 'index.js'), text)
    }
    const script = `
      const { _load } = require('module')
      require('module')._load = (name, ...more) => {
        if (/child_process/.test(name)) { console.log('starts a process'); process.exit() }
        return _load(name, ...more)
      }
      ${before}
      const { excludeNetwork } = process.report
      try { console.log(require('./index.js').getSession()) } catch ({ code, message }) { console.log(code, message) }
      if (process.report.excludeNetwork !== excludeNetwork) console.log('changes the reports of the app')`
    return execFileSync(process.execPath, ['-e', script], { cwd: folder, encoding: 'utf8' }).trim()
  }

  /** Node.js on another platform. Its file is `file`, and `report` what it reports. */
  const on = (platform: string, arch: string, { file = 'program', report = `() => console.log('reports')` } = {}) => `
    Object.defineProperty(process, 'platform', { value: '${platform}' })
    Object.defineProperty(process, 'arch', { value: '${arch}' })
    process.execPath = '${file}'
    process.report.getReport = () => {
      if (!process.report.excludeNetwork) console.log('looks up names')
      return (${report})()
    }
  `
  const linux = (libc: 'glibc' | 'musl', cpu: string) => PACKAGES[`linux ${cpu} (${libc})`] ?? ''

  test.each(Object.entries(PACKAGES))('%s: the package for it, beside all others', async (platform, name) => {
    const [os = '', cpu = '', libc] = platform.split(/[ ()]+/)
    const options = { program: libc && NODE_WITH[libc as 'glibc' | 'musl'], before: on(os, cpu) }
    expect(await load(Object.values(PACKAGES), options)).toBe(name)
  })

  test.each([
    ['glibc', `() => ({ header: { glibcVersionRuntime: '2.36' } })`],
    ['musl', `() => ({ header: {}, sharedObjects: [] })`],
    ['glibc', `() => { throw new Error('Deno refuses it') }`],
  ] as const)("%s, where Node's file names no loader: by the report, without the network", async (libc, report) => {
    const packages = [linux('glibc', 'x64'), linux('musl', 'x64')]
    for (const file of ['program', 'missing'])
      expect(await load(packages, { before: on('linux', 'x64', { file, report }) })).toBe(linux(libc, 'x64'))
  })

  test.each([true, false])('excludeNetwork stays as the app has set it: %s', async (excluded) => {
    const before = `${on('linux', 'x64', { report: '() => ({ header: {} })' })} process.report.excludeNetwork = ${excluded}`
    expect(await load([linux('musl', 'x64')], { before })).toBe(linux('musl', 'x64'))
  })

  test.each([
    ['without any package', []],
    ['with the one for glibc', [linux('glibc', 'x64')]],
  ])('musl, %s: the error names the one for musl', async (_, packages) => {
    const output = await load(packages, { program: NODE_WITH.musl, before: on('linux', 'x64') })
    expect(output).toContain(
      `ERR_AUTH_BRIDGE_CONFIG authjs-bridge lacks its native part for linux x64 (musl): the package ${linux('musl', 'x64')} is not installed.`,
    )
  })

  test('refuses a native part of another version', async () => {
    const options = { before: on('darwin', 'arm64'), version: '9.9.9' }
    expect(await load(Object.values(PACKAGES), options)).toBe(
      `ERR_AUTH_BRIDGE_CONFIG authjs-bridge can't load its native part for darwin arm64: it has the version 9.9.9, not ${manifest.version}`,
    )
  })

  test('takes the file that NAPI_RS_NATIVE_LIBRARY_PATH names, and nothing else where that fails', async () => {
    const native = (path: string) => `process.env.NAPI_RS_NATIVE_LIBRARY_PATH = '${path}'`
    const packages = [linux('glibc', 'x64'), 'named']
    const before = on('linux', 'x64')
    const program = NODE_WITH.glibc
    expect(await load(packages, { program, before: before + native('./node_modules/named') })).toBe('named')
    expect(await load(packages, { program, before: before + native('./missing.node') })).toMatch(
      /^ERR_AUTH_BRIDGE_CONFIG authjs-bridge can't load .*: Cannot find module '\.\/missing\.node'$/,
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

describe.runIf(HAS_ELF)('the binary', () => {
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
