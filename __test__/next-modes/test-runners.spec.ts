// What docs/frameworks.md says of tests with Jest and vitest: what holds there, and what to set for jsdom. The tests read a session from a
// real PostgreSQL.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeTarballs } from '../../scripts/tarballs.mjs'
import { run } from '../support/apps.mjs'
import { SECRET } from '../support/bridges.js'
import { mintCookie } from '../support/cookies.mjs'
import { useDatabase } from '../support/database.js'
import { documented } from '../support/documented-app.js'
import { claimsOf, createSession, createUser } from '../support/tenants.mjs'

const TEST = `
const mistake = () => new AuthBridge({ databaseURL: '' })

test('as the page says', async () => {
  expect(await getSession('theme=dark')).toEqual({})
  expect(await getSession(process.env.COOKIE)).toMatchObject({ session_id: process.env.SESSION_ID })
  expect(mistake).toThrow('databaseURL')
  expect.assertions(4)
  try {
    mistake()
  } catch (error) {
    expect([error instanceof Error, error.code]).toEqual([process.env.REALM === 'of Node.js', 'ERR_AUTH_BRIDGE_CONFIG'])
  }
})`

const { client, url } = useDatabase()
let folder: string
let env: Record<string, string>
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-runners-'))
  await writeFile(join(folder, 'package.json'), '{ "private": true }')
  const tarballs = makeTarballs({ output: join(folder, 'tarballs') })
  await run('npm', ['install', 'jest@30', 'jest-environment-jsdom@30', 'vitest@4', ...tarballs], { cwd: folder })
  await writeFile(join(folder, 'jest.test.js'), `const { AuthBridge, getSession } = require('authjs-bridge')\n${TEST}`)
  await writeFile(join(folder, 'vitest.test.mjs'), `import { AuthBridge, getSession } from 'authjs-bridge'\n${TEST}`)
  const user = await createUser(client)
  const session = await createSession(client, user)
  const cookie = await mintCookie(claimsOf(user, session), { secret: SECRET })
  const app = { AUTH_SECRET: SECRET, AUTH_URL: 'http://localhost', DATABASE_URL: url }
  env = { ...app, COOKIE: cookie, SESSION_ID: session.session_id }
})
afterAll(() => rm(folder, { recursive: true }))

const jest = (...args: string[]) =>
  run(process.execPath, ['node_modules/jest/bin/jest.js', 'jest.test.js', ...args], { cwd: folder, env })

test("Jest's node environment needs no setting", () => jest('--env=node'))

test('jsdom takes the package for one in a browser, until the setting of the page, which its message names, is there', async () => {
  const setting = "testEnvironmentOptions: { customExportConditions: ['node'] }"
  await expect(jest('--env=jsdom')).rejects.toThrow(setting)
  const config = documented('docs/frameworks.md', 'jest.config.js')
  expect(config).toContain(setting)
  await writeFile(join(folder, 'jest.config.js'), config)
  await jest()
})

test.each([
  ['forks', 'node', 'of Node.js'],
  ['threads', 'node', 'of Node.js'],
  ['vmThreads', 'node', 'of its own'],
  ['forks', 'jsdom', 'of Node.js'],
])('vitest needs no setting: pool %s, environment %s, a realm %s', async (pool, environment, realm) => {
  const args = ['run', '--globals', `--pool=${pool}`, `--environment=${environment}`, 'vitest.test.mjs']
  const options = { cwd: folder, env: { ...env, REALM: realm } }
  await run(process.execPath, ['node_modules/vitest/vitest.mjs', ...args], options)
})
