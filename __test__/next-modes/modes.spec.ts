// Tests, with both bundlers, the ways to run an app that `__test__/next/bundling.spec.ts` doesn't.

import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { BUNDLERS, useApp } from '../support/next-app.js'
import { codeBlocks } from '../support/pages.js'

/** The error of each bundler for a native module, from the documentation. */
const [turbopack = '', webpack = ''] = codeBlocks('docs/getting-started.md')
  .filter(({ language }) => language === '')
  .map(({ text }) => text.trim())
const ERRORS = { turbopack, webpack }

const app = useApp()
afterEach(app.stopAll)

describe('webpack', () => {
  test('next dev', () => app.expectToDevelop('webpack'))

  test('next build, without a database or a secret, and next start', () => app.expectToBuildAndStart('webpack'))
})

describe.each(BUNDLERS)('%s', (bundler) => {
  test(`output: "standalone", from a copied folder, without the app's folder`, async () => {
    await app.build(bundler, { STANDALONE: '1' })
    const standalone = await mkdtemp(join(tmpdir(), 'authjs-bridge-standalone-'))
    await cp(join(app.folder(), '.next', 'standalone'), standalone, { recursive: true, verbatimSymlinks: true })
    const moved = `${app.folder()}-moved`
    await rename(app.folder(), moved)
    try {
      const { origin, stop } = await app.start({ standalone })
      await app.expectResponses(origin)
      await stop()
    } finally {
      await rename(moved, app.folder())
      await rm(standalone, { recursive: true })
    }
  })

  test('without the line in next.config the build fails with the error in the documentation', async () => {
    const error = await app.build(bundler, { WITHOUT_LINE: '1' }).catch(String)
    const [file = '', reason = ''] = ERRORS[bundler].split('\n')
    expect(file).toMatch(/^\.\/node_modules\/authjs-bridge/)
    expect(reason).not.toBe('')
    expect(error).toContain(file)
    expect(error).toContain(reason)
  })

  describe('the edge runtime', () => {
    beforeAll(async () => {
      await mkdir(join(app.folder(), 'app', 'edge'))
      const route = (await readFile(join(app.folder(), 'app', 'api', 'hand', 'route.ts'), 'utf8')) + EDGE
      await writeFile(join(app.folder(), 'app', 'edge', 'route.ts'), route)
    })
    afterAll(() => rm(join(app.folder(), 'app', 'edge'), { recursive: true }))

    const EDGE = `\nexport const runtime = 'edge'\n`
    const MESSAGE = 'authjs-bridge is a native module, which neither the edge runtime nor a browser can load.'
    const ADVICE = "In a route, page or layout, write: export const runtime = 'nodejs'"

    test('is refused by next build, which says what to do', async () => {
      const error = await app.build(bundler).catch(String)
      expect(error).toContain(MESSAGE)
      expect(error).toContain(ADVICE)
    })

    test('is refused by next dev, which says what to do', async () => {
      const { origin, output } = await app.start(['dev', `--${bundler}`])
      expect((await fetch(`${origin}/edge`)).status).toBe(500)
      expect(output()).toContain(MESSAGE)
      expect(output()).toContain(ADVICE)
      expect(await (await fetch(`${origin}/api/hand`)).text()).toBe('{}')
    })
  })
})
