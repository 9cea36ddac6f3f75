// The main job on other platforms, emulated on Linux x64: the same results as in Node.js here. Needs the native part of each platform in
// the folder `artifacts`: `node scripts/build-artifact.mjs --target=<target>`. `scripts/platforms.mjs` brings the rest.

import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EMULATED, preparePlatform } from '../../scripts/platforms.mjs'
import { makeApp, ROOT, startMainJob } from '../support/main-job.js'

let job: Awaited<ReturnType<typeof startMainJob>>
beforeAll(async () => {
  job = await startMainJob()
})
afterAll(() => job.stop())

describe.each(EMULATED)('%s', (target) => {
  test('the main job', async () => {
    const { app, program, args, at } = preparePlatform(target)
    await makeApp(app, join(ROOT, 'artifacts'))
    const answer = await job.run(app, program, ...args, `${at}/main-job.mjs`)
    expect(answer).toEqual({ runtime: 'node', results: job.results })
  })
})
