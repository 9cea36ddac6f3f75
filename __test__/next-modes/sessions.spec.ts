// Tests what `createSessions` makes in the ways to run an app that `__test__/next/sessions.spec.ts` doesn't, with Next.js 16.

import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { launchBrowser } from '../support/browser.js'
import { BUNDLERS, useApp } from '../support/next-app.js'
import { testSessions } from '../support/next-sessions.js'

const app = useApp()

describe.each(BUNDLERS)('%s, next dev', (bundler) => {
  testSessions(app, (env) => app.develop(bundler, env), 'development')
})

describe('webpack, next start', () => {
  beforeAll(() => app.build('webpack'))

  testSessions(app, (env) => app.start(['start'], env))

  test('in a browser there is no loop after a revocation', async () => {
    const { origin } = await app.start(['start'])
    onTestFinished(app.stopAll)
    const browser = await launchBrowser()
    onTestFinished(() => browser.close())
    const context = await browser.newContext({ baseURL: origin })
    const { session, cookie } = await app.signIn()
    const [, name = '', value = ''] = cookie.match(/(.+?)=(.+)/) ?? []
    await context.addCookies([{ name, value, url: origin }])
    const page = await context.newPage()
    const paths: string[] = []
    page.on('request', (request) => paths.push(new URL(request.url()).pathname))

    await page.goto('/guarded/signin')
    expect(await page.locator('#session').innerText()).toBe(session.session_id)
    await app.client.query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [session.session_id])
    paths.length = 0
    await page.goto('/guarded')
    expect(await page.locator('h1').innerText()).toBe('Sign in')
    await page.goto('/guarded/signin')
    expect(await page.locator('h1').innerText()).toBe('Sign in')
    expect(paths.filter((path) => path.startsWith('/guarded'))).toEqual([
      '/guarded',
      '/guarded/signin',
      '/guarded/signin',
    ])
    expect(await context.cookies()).toEqual([])
  })
})

describe.each(BUNDLERS)('%s, output: "standalone"', (bundler) => {
  let standalone: string
  beforeAll(async () => {
    await app.build(bundler, { STANDALONE: '1' })
    standalone = await mkdtemp(join(tmpdir(), 'authjs-bridge-standalone-'))
    await cp(join(app.folder(), '.next', 'standalone'), standalone, { recursive: true, verbatimSymlinks: true })
  })
  afterAll(() => rm(standalone, { recursive: true }))

  testSessions(app, (env) => app.start({ standalone }, env))
})
