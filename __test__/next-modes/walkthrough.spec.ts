// Follows docs/getting-started.md from `create-next-app` to devices that are signed out, with the commands and files of the page.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Page } from 'playwright-core'
import { expect, onTestFinished, test } from 'vitest'
import { makeTarballs } from '../../scripts/tarballs.mjs'
import { cleanEnvironment, serve } from '../support/apps.mjs'
import { launchBrowser } from '../support/browser.js'
import { withClient } from '../support/faults.js'
import { codeBlocks } from '../support/pages.js'
import { freePort, startPostgres } from '../support/postgres.mjs'

const TARBALLS = '/path/to/tarballs'
const SERVER = 'npm start'

test('the steps of getting started lead to devices that are signed out', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-started-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const database = await startPostgres()
  onTestFinished(() => database.dispose())
  const port = String(await freePort())
  const origin = `http://localhost:${port}`
  // The port of the page may be in use on this machine, and npx would ask before it installs.
  const here = { PORT: port, AUTH_URL: origin, npm_config_yes: 'true' }
  const env = cleanEnvironment({ DATABASE_URL: database.url(), ...here })
  const tarballs = join(folder, 'tarballs')
  makeTarballs({ output: tarballs })

  // modes.spec.ts tests the blocks that show output.
  const blocks = codeBlocks('docs/getting-started.md').filter(({ language }) => language !== '')
  const starts = blocks.findIndex(({ text }) => text.includes(SERVER))
  const commands = blocks.filter(({ language }) => language === 'sh')
  expect(commands).toHaveLength(5)
  expect(commands.filter(({ text }) => text.includes(TARBALLS))).toHaveLength(1)

  let cwd = folder
  for (const { language, text } of blocks.slice(0, starts + 1)) {
    if (language === 'sh') cwd = await shell(text.replace(TARBALLS, tarballs).replace(SERVER, ''), cwd, env)
    else await write(text, cwd)
  }
  const server = await serve('npm', ['start'], { cwd, env, ready: /Ready in/ })
  onTestFinished(() => server.stop())

  const browser = await launchBrowser()
  onTestFinished(() => browser.close())
  async function signIn() {
    const page = await (await browser.newContext({ baseURL: origin })).newPage()
    await page.goto('/')
    await page.waitForURL('**/api/auth/signin**')
    await page.locator('[name=password]').fill(await variable('DEMO_PASSWORD', cwd))
    await page.locator('[type=submit]').click()
    await page.waitForURL('/')
    return page
  }
  const devices = (page: Page) => page.locator('form').allInnerTexts()
  const first = await signIn()
  await expect.poll(() => devices(first)).toEqual([expect.stringMatching(/^Chrome on Linux \(this one\)/)])
  const second = await signIn()
  await first.reload()
  await expect.poll(async () => (await devices(first)).length).toBe(2)
  await first.locator('form', { hasNotText: 'this one' }).getByRole('button').click()
  await expect.poll(async () => (await devices(first)).length).toBe(1)
  await second.reload()
  await second.waitForURL('**/api/auth/signin**')

  const rest = blocks.slice(starts + 1)
  expect(rest).toHaveLength(1)
  const { rows } = await withClient(database.url(), (client) =>
    client.query(`SELECT * FROM sessions ORDER BY revoked_at`),
  )
  expect(rows.map(({ login_method, revoked_reason }) => [login_method, revoked_reason])).toEqual([
    ['credentials', 'signed out'],
    ['credentials', null],
  ])
  for (const { text } of rest) await shell(text, cwd, env)
  await first.getByRole('button').click()
  await first.waitForURL('**/api/auth/signin**')
})

test('the developer writes at most 25 lines of code', () => {
  const files = codeBlocks('docs/getting-started.md').filter(({ text }) => /^\/\/ \S+\.tsx?\n/.test(text))
  expect(files).toHaveLength(5)
  const lines = files.flatMap(({ text }) => {
    if (text.startsWith('// next.config.ts')) return ['serverExternalPackages']
    const code = text
      .replaceAll(/^import .*$/gm, '')
      .split('\n')
      .map((line) => line.trim())
    return code.filter((line) => line !== '' && !line.startsWith('//') && !/^[)}\]]+$/.test(line))
  })
  expect(lines.length).toBeLessThanOrEqual(25)
})

/** Runs commands; throws if one fails. @returns the working directory after the last one */
async function shell(commands: string, cwd: string, env: NodeJS.ProcessEnv) {
  const child = spawn('bash', ['-e', '-c', `${commands}\necho\npwd`], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let errors = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  child.stderr.on('data', (chunk) => (errors += chunk))
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${commands}\nfailed:\n${output}${errors}`)
  return output.trimEnd().split('\n').at(-1) ?? cwd
}

/** Writes a block of code to the file that its first line names. */
async function write(text: string, cwd: string) {
  const path = text.match(/^\/\/ (\S+)\n/)?.[1]
  expect(path).toMatch(/\.tsx?$/)
  const file = join(cwd, path ?? '')
  if (path === 'next.config.ts') expect(withoutOurLine(text)).toBe(withoutOurLine(await readFile(file, 'utf8')))
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
}

/** For comparing the page's next.config.ts with the generated one, of which it must keep everything. */
function withoutOurLine(config: string) {
  const lines = config.replaceAll(/\/\/ .*\n|\/\*.*\*\/|serverExternalPackages: .*\n/g, '')
  return lines.replaceAll(/[\s;]/g, '').replaceAll('"', "'")
}

async function variable(name: string, cwd: string) {
  const file = await readFile(join(cwd, '.env.local'), 'utf8')
  return file.match(new RegExp(`^${name}=(.+)$`, 'm'))?.[1] ?? ''
}
