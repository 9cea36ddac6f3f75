// What docs/nextjs.md says of tests with Jest: what holds there, and what to set for jsdom.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeTarballs } from '../../scripts/tarballs.mjs'
import { run } from '../support/apps.mjs'
import { documented } from '../support/documented-app.js'

const TEST = `
const { AuthBridge, getSession } = require('authjs-bridge')
const mistake = () => new AuthBridge({ databaseURL: '' })

test('as the page says', async () => {
  expect(await getSession('theme=dark')).toEqual({})
  expect(mistake).toThrow('databaseURL')
  expect.assertions(3)
  try {
    mistake()
  } catch (error) {
    expect([error instanceof Error, error.code]).toEqual([false, 'ERR_AUTH_BRIDGE_CONFIG'])
  }
})`

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-jest-'))
  await writeFile(join(folder, 'package.json'), '{ "private": true }')
  const tarballs = makeTarballs({ output: join(folder, 'tarballs') })
  await run('npm', ['install', 'jest@30', 'jest-environment-jsdom@30', ...tarballs], { cwd: folder })
  await writeFile(join(folder, 'session.test.js'), TEST)
})
afterAll(() => rm(folder, { recursive: true }))

const jest = (...args: string[]) => run(process.execPath, ['node_modules/jest/bin/jest.js', ...args], { cwd: folder })

test("Jest's node environment needs no setting", () => jest('--env=node'))

test('jsdom takes the package for one in a browser, until the setting of the page, which its message names, is there', async () => {
  const setting = "testEnvironmentOptions: { customExportConditions: ['node'] }"
  await expect(jest('--env=jsdom')).rejects.toThrow(setting)
  const config = documented('docs/nextjs.md', 'jest.config.js')
  expect(config).toContain(setting)
  await writeFile(join(folder, 'jest.config.js'), config)
  await jest()
})
