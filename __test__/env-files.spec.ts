// `authjs-bridge` finds the same variables in the .env files of a folder as Next.js.

import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { diagnose, MARKERS, run } from './support/command-line.js'

const NEXT_ENV = dirname(createRequire(import.meta.url).resolve('@next/env/package.json'))
let home: string

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'authjs-bridge-env-files-'))
})
afterAll(() => rm(home, { recursive: true }))

/** Title, the expected loader, and how to install it. */
const installs: [string, string, (modules: string) => Promise<void>][] = [
  ['without Next.js', 'authjs-bridge', async () => {}],
  [
    'with @next/env beside the app',
    '@next/env',
    async (modules) => {
      await mkdir(join(modules, '@next'), { recursive: true })
      await symlink(NEXT_ENV, join(modules, '@next', 'env'), 'junction')
    },
  ],
  [
    'with @next/env where only next finds it, as strict package managers install it',
    '@next/env',
    async (modules) => {
      const next = join(modules, '.store', 'node_modules', 'next')
      await mkdir(join(next, '..', '@next'), { recursive: true })
      await mkdir(next)
      await writeFile(join(next, 'package.json'), '{ "name": "next", "version": "16.0.0" }')
      await symlink(NEXT_ENV, join(next, '..', '@next', 'env'), 'junction')
      await symlink(next, join(modules, 'next'), 'junction')
    },
  ],
]

describe.each(installs)('%s', (_, loader, install) => {
  async function folderWith(files: Record<string, string>) {
    const folder = join(home, randomUUID())
    await mkdir(join(folder, 'node_modules'), { recursive: true })
    await install(join(folder, 'node_modules'))
    for (const [name, contents] of Object.entries(files)) await writeFile(join(folder, name), contents)
    return folder
  }

  /** The mode, the files that were read, and the length of each secret in bytes. */
  async function find(files: Record<string, string>, env: Record<string, string> = {}, ...args: string[]) {
    const { mode, check } = await diagnose({ cwd: await folderWith(files), env }, ...args)
    const read = check('env-files')?.details as { files: string[]; loader: string }
    expect(read.loader).toBe(loader)
    const secrets = (check('secrets')?.details ?? []) as { variable: string; bytes: number }[]
    const bytes = Object.fromEntries(secrets.map(({ variable, bytes }) => [variable, bytes]))
    return { mode, files: read.files, bytes }
  }

  /** Each file has a secret of another length. */
  const ALL = {
    '.env': `AUTH_SECRET=${'x'.repeat(41)}\nAUTH_SECRET_1=${'x'.repeat(61)}\n`,
    '.env.local': `AUTH_SECRET=${'x'.repeat(42)}\n`,
    '.env.development': `AUTH_SECRET=${'x'.repeat(43)}\n`,
    '.env.development.local': `AUTH_SECRET=${'x'.repeat(44)}\n`,
    '.env.production': `AUTH_SECRET=${'x'.repeat(45)}\nNEXTAUTH_SECRET=${'x'.repeat(71)}\n`,
    '.env.production.local': `AUTH_SECRET=${'x'.repeat(46)}\n`,
    '.env.test': `AUTH_SECRET=${'x'.repeat(47)}\n`,
  }
  const without = (...names: string[]) =>
    Object.fromEntries(Object.entries(ALL).filter(([name]) => !names.includes(name)))

  test.each<[string, Record<string, string>, Record<string, string>, string[], object]>([
    [
      'in development',
      ALL,
      {},
      [],
      {
        mode: 'development',
        files: ['.env.development.local', '.env.local', '.env.development', '.env'],
        bytes: { AUTH_SECRET: 44, AUTH_SECRET_1: 61 },
      },
    ],
    [
      'with --production',
      ALL,
      {},
      ['--production'],
      {
        mode: 'production',
        files: ['.env.production.local', '.env.local', '.env.production', '.env'],
        bytes: { AUTH_SECRET: 46, AUTH_SECRET_1: 61, NEXTAUTH_SECRET: 71 },
      },
    ],
    [
      'with NODE_ENV=production',
      without('.env.production.local'),
      { NODE_ENV: 'production' },
      [],
      {
        mode: 'production',
        files: ['.env.local', '.env.production', '.env'],
        bytes: { AUTH_SECRET: 42, AUTH_SECRET_1: 61, NEXTAUTH_SECRET: 71 },
      },
    ],
    [
      'in tests, without .env.local',
      ALL,
      { NODE_ENV: 'test' },
      [],
      { mode: 'test', files: ['.env.test', '.env'], bytes: { AUTH_SECRET: 47, AUTH_SECRET_1: 61 } },
    ],
    [
      'with a NODE_ENV that Next.js does not know',
      without('.env.development.local', '.env.local'),
      { NODE_ENV: 'staging' },
      [],
      {
        mode: 'development',
        files: ['.env.development', '.env'],
        bytes: { AUTH_SECRET: 43, AUTH_SECRET_1: 61 },
      },
    ],
    [
      'with a variable that is set already',
      ALL,
      { AUTH_SECRET: 'x'.repeat(50) },
      [],
      {
        mode: 'development',
        files: ['.env.development.local', '.env.local', '.env.development', '.env'],
        bytes: { AUTH_SECRET: 50, AUTH_SECRET_1: 61 },
      },
    ],
    ['that do not exist', {}, {}, [], { mode: 'development', files: [], bytes: {} }],
  ])('files %s', async (_, files, env, args, expected) => {
    expect(await find(files, env, ...args)).toEqual(expected)
  })

  test.each<[string, string, Record<string, string>, number]>([
    ['a reference', 'PART=12345\nAUTH_SECRET=a$PART', {}, 6],
    ['one in braces', `PART=12345\nAUTH_SECRET="a\${PART}b"`, {}, 7],
    ['a variable of the environment before one of the file', 'PART=12345\nAUTH_SECRET=a$PART', { PART: '123' }, 4],
    ['a default', `AUTH_SECRET=\${NOWHERE:-12345678}`, {}, 8],
    ['references of references', 'A=$B$B\nB=123\nAUTH_SECRET=$A$A', {}, 12],
    ['a default before a variable of the file', `PART=1\nAUTH_SECRET=\${PART:-12345678}`, {}, 8],
    ['a variable of the environment before a default', `AUTH_SECRET=\${PART:-12345678}`, { PART: '123' }, 3],
    ['an escaped dollar', 'AUTH_SECRET=a\\$PART', {}, 6],
    ['a dollar without a name', 'AUTH_SECRET=a$-$', {}, 4],
    ['a reference to a variable that is not set', 'AUTH_SECRET=ab$NOWHERE', {}, 2],
    ['quotes, export and comments', `export AUTH_SECRET='a b # c' # d`, {}, 7],
  ])('%s', async (_, contents, env, bytes) => {
    expect((await find({ '.env.local': contents }, env)).bytes).toEqual({ AUTH_SECRET: bytes })
  })

  test('a reference to a variable of a file with higher precedence', async () => {
    const files = { '.env.local': 'PART=12345', '.env': 'PART=1\nAUTH_SECRET=a$PART' }
    expect((await find(files)).bytes).toEqual({ AUTH_SECRET: 6 })
  })

  // Next.js fails at a cycle, and reads no file.
  if (loader === 'authjs-bridge') {
    test('references in a cycle', async () => {
      expect((await find({ '.env': 'AUTH_SECRET=a$PART\nPART=b$PART' })).bytes).toEqual({ AUTH_SECRET: 2 })
    })
  }

  test('options in a variable', async () => {
    const options = `AUTH_BRIDGE_OPTIONS='{ "cookieName": "sid", "secret": "${MARKERS.secret}" }'\n`
    const { check } = await diagnose({ cwd: await folderWith({ '.env.local': options }) })
    expect(check('cookies')?.message).toBe('sid, by AUTH_BRIDGE_OPTIONS')
    expect(check('secrets')?.message).toBe('AUTH_BRIDGE_OPTIONS (38 bytes)')
  })

  test.each<[string, object, RegExp]>([
    [
      'a name of a table',
      { tables: { sessions: '"auth"."sessions"' } },
      /^tables\.sessions in AUTH_BRIDGE_OPTIONS: must be the name of a table or view, /,
    ],
    [
      'two that contradict each other',
      { userCheck: 'none', freshClaims: ['plan'] },
      /^freshClaims in AUTH_BRIDGE_OPTIONS: needs the users relation/,
    ],
    ['two of tenants', { multiTenant: false, sharded: true }, /^sharded in AUTH_BRIDGE_OPTIONS: needs tenants/],
  ])('options about the tables that are wrong, in a file that the variable names: %s', async (_, options, message) => {
    const cwd = await folderWith({
      '.env.local': 'AUTH_BRIDGE_OPTIONS=./bridge.json\n',
      'bridge.json': JSON.stringify(options),
    })
    for (const command of [['doctor'], ['explain']]) {
      const { code, stdout } = await run([...command, '--json'], { cwd, input: 'theme=dark' })
      const error = { code: 'ERR_AUTH_BRIDGE_CONFIG', message: expect.stringMatching(message) }
      expect({ code, output: JSON.parse(stdout) }).toEqual({ code: 1, output: { error } })
    }
  })

  test('warns of a password that Next.js cuts at a $', async () => {
    const contents = `AUTH_SECRET=${MARKERS.secret}$tail\nOTHER=a$b\nDATABASE_URL=postgres://u:${MARKERS.password}\\$x@localhost:1/d\n`
    const { check } = await diagnose({ cwd: await folderWith({ '.env': contents }) })
    expect(check('env-files')).toMatchObject({
      status: 'warning',
      message:
        '.env, as Next.js reads them in development; AUTH_SECRET in .env contains a $ before the name of a variable that is not set',
      advice: expect.stringContaining('Write \\$'),
    })
  })

  const elsewhere = /; set the environment variable [^\n]*; \.env\.production is read with --production$/
  test.each<[string, Record<string, string>, string[], 'ok' | 'warning', string, RegExp]>([
    [
      'alone',
      { '.env.production': ALL['.env.production'] },
      [],
      'warning',
      'none, as Next.js reads them in development; .env.production is read with --production',
      elsewhere,
    ],
    [
      'and .env.production.local, alone',
      without('.env', '.env.local', '.env.development', '.env.development.local'),
      [],
      'warning',
      'none, as Next.js reads them in development; .env.production.local, .env.production are read with --production',
      /; \.env\.production\.local, \.env\.production are read with --production$/,
    ],
    [
      'beside others',
      { '.env.production': ALL['.env.production'], '.env.local': '', '.env': '' },
      [],
      'ok',
      '.env.local, .env, as Next.js reads them in development; .env.production is read with --production',
      elsewhere,
    ],
    [
      'that is read',
      { '.env.production': '' },
      ['--production'],
      'ok',
      '.env.production, as Next.js reads them in production',
      /; set the environment variable [^;\n]*$/,
    ],
    [
      'that there is not',
      {},
      [],
      'ok',
      'none, as Next.js reads them in development',
      /; set the environment variable [^;\n]*$/,
    ],
  ])('.env.production %s', async (_, files, args, status, message, missing) => {
    const cwd = await folderWith(files)
    const { check } = await diagnose({ cwd }, ...args)
    const found = check('env-files')
    expect(found).toMatchObject({ status, message })
    expect(found?.advice).toEqual(status === 'ok' ? undefined : expect.stringContaining('--production'))
    for (const command of [
      ['explain'],
      ['sessions', '--tenant', 't', '--user', 'u'],
      ['revoke', '--tenant', 't', '--all-of-tenant', '--yes'],
      ['prune', '--before', '1d'],
    ]) {
      const surroundings = { cwd, input: 'theme=dark' }
      const { code, stdout, stderr } = await run([...command, ...args], surroundings)
      expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: expect.any(String) })
      expect(stderr.trimEnd()).toMatch(missing)
      const asJson = await run([...command, ...args, '--json'], surroundings)
      expect(JSON.parse(asJson.stdout).error).toEqual({
        code: 'ERR_AUTH_BRIDGE_CONFIG',
        message: expect.stringMatching(missing),
      })
    }
  })

  test('warns of a value that the environment overrides', async () => {
    const cwd = await folderWith({
      '.env.local': `AUTH_SECRET=${MARKERS.secret}\nAUTH_URL=http://\${HOST}\nHOST=a\nPGHOST=b\n`,
    })
    const { check } = await diagnose({ cwd, env: { AUTH_SECRET: 'other', AUTH_URL: 'http://a', HOST: 'a' } })
    expect(check('env-files')).toMatchObject({
      status: 'warning',
      message:
        '.env.local, as Next.js reads them in development; AUTH_SECRET in .env.local is ignored: the environment has another value',
      advice: expect.stringContaining('Unset it in the shell'),
    })
  })
})

test('ignores a folder named .env', async () => {
  const folder = join(home, randomUUID())
  await mkdir(join(folder, '.env'), { recursive: true })
  expect((await diagnose({ cwd: folder })).check('env-files')).toMatchObject({ status: 'ok', details: { files: [] } })
})
