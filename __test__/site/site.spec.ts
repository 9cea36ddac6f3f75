// Builds the documentation as a site, as `npm run docs` does, and reads it in a real browser.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ROOT, run, serve } from '../support/apps.mjs'
import { collectErrors, DEVICES, launchBrowser } from '../support/browser.js'
import { PAGES, read } from '../support/pages.js'
import { freePort } from '../support/postgres.mjs'

type Device = keyof typeof DEVICES

const DIST = join(ROOT, 'site', 'dist')
const BASE = '/authjs-bridge/'
const SCREENSHOTS = join(ROOT, 'screenshots')

let api: string
let origin: string
let server: Awaited<ReturnType<typeof serve>>
let browser: Browser
beforeAll(async () => {
  await mkdir(SCREENSHOTS, { recursive: true })
  api = read('docs/api.md')
  await run('npm', ['run', 'docs'], { cwd: ROOT })
  const port = String(await freePort())
  const vitepress = join(ROOT, 'site', 'node_modules', 'vitepress', 'bin', 'vitepress.js')
  const command = [vitepress, 'preview', 'site', '--port', port]
  server = await serve(process.execPath, command, { cwd: ROOT, ready: /served at/ })
  origin = `http://localhost:${port}`
  browser = await launchBrowser()
})
afterAll(async () => {
  await browser?.close()
  await server?.stop()
})

/** The addresses of all pages, and their HTML. */
function pages() {
  const files = readdirSync(DIST, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.html'))
  return files.map((file) => {
    const path = BASE + file.replace(/(index)?\.html$/, '')
    return { path, html: readFileSync(join(DIST, file), 'utf8') }
  })
}

/** Links of the pages to a page, an anchor or a file that the site doesn't have. */
function deadLinks(all: ReturnType<typeof pages>) {
  const byPath = new Map(all.map(({ path, html }) => [path, html]))
  return all.flatMap(({ path, html }) => {
    const links = [...html.matchAll(/ (?:href|src)="([^"]+)"/g)].map(([, link = '']) => link)
    const dead = links.filter((link) => {
      const { origin, pathname, hash } = new URL(link, `http://site${path}`)
      if (origin !== 'http://site') return false
      const target = byPath.get(pathname)
      if (target === undefined) return !existsSync(join(DIST, pathname.replace(BASE, '')))
      return hash !== '' && !target.includes(` id="${decodeURIComponent(hash.slice(1))}"`)
    })
    return dead.map((link) => `${path}: ${link}`)
  })
}

async function open(device: Device, path = BASE) {
  const context = await browser.newContext({ ...DEVICES[device], baseURL: origin, colorScheme: 'light' })
  const page = await context.newPage()
  const errors = collectErrors(page)
  await page.goto(path)
  return { page, errors }
}

test('docs/api.md is what the types say', () => {
  expect(read('docs/api.md')).toBe(api)
})

test('no link leads nowhere', () => {
  const all = pages()
  expect(all.length).toBeGreaterThan(PAGES.length)
  expect(deadLinks(all)).toEqual([])
})

test('a link to no page, no anchor or no file is found', () => {
  const html = '<h1 id="here"></h1><a href="/authjs-bridge/"><a href="#here"><a href="https://example.com/">'
  const dead = '<a href="/authjs-bridge/none"><a href="#none"><img src="/authjs-bridge/none.png">'
  expect(deadLinks([{ path: BASE, html: html + dead }])).toEqual([
    '/authjs-bridge/: /authjs-bridge/none',
    '/authjs-bridge/: #none',
    '/authjs-bridge/: /authjs-bridge/none.png',
  ])
})

test.each<Device>(['desktop', 'phone'])(
  'no page is wider than a %s, has an error or needs another server',
  async (device) => {
    const { page, errors } = await open(device)
    const elsewhere: string[] = []
    page.on('request', (request) => {
      if (!request.url().startsWith(origin) && !request.url().startsWith('data:')) elsewhere.push(request.url())
    })
    const wide: string[] = []
    for (const { path } of pages()) {
      await page.goto(path)
      const width = await page.evaluate(() => document.documentElement.scrollWidth)
      if (width > DEVICES[device].viewport.width) wide.push(`${path}: ${width}`)
    }
    expect({ wide, errors, elsewhere }).toEqual({ wide: [], errors: [], elsewhere: [] })
  },
)

test.each([
  ['revoke', /End sessions/],
  ['ERR_AUTH_BRIDGE_TIMEOUT', /Errors/],
  ['maxStaleness', /Caching/],
  ['listSessions', /API/],
])('the search finds %s', async (query, title) => {
  const { page } = await open('desktop')
  await page.getByRole('button', { name: 'Search' }).click()
  await page.getByRole('searchbox').fill(query)
  const results = page.locator('.VPLocalSearchBox .result')
  await expect.poll(() => results.allInnerTexts()).toContainEqual(expect.stringMatching(title))
  await results.filter({ hasText: title }).first().click()
  await expect.poll(() => page.locator('.vp-doc').innerText()).toContain(query)
})

test('dark mode switches, and stays', async () => {
  const { page } = await open('desktop', `${BASE}api`)
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
  const light = await background()
  await page.screenshot({ path: join(SCREENSHOTS, 'docs-desktop.png') })
  await page.getByRole('switch', { name: 'Appearance' }).click()
  await expect.poll(background).not.toBe(light)
  const dark = await background()
  await page.reload()
  expect(await background()).toBe(dark)
  await page.screenshot({ path: join(SCREENSHOTS, 'docs-desktop-dark.png') })
})

test('a phone has the navigation behind a button', async () => {
  const { page } = await open('phone')
  await page.getByRole('button').filter({ hasText: 'Menu' }).click()
  await page.screenshot({ path: join(SCREENSHOTS, 'docs-phone.png') })
  await page.locator('#VPSidebarNav').getByRole('link', { name: 'Caching', exact: true }).click()
  await expect.poll(() => page.locator('h1').innerText()).toContain('Caching')
})
