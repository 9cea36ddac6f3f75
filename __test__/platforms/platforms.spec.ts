// The main job on other platforms, emulated on Linux x64: the same results as in Node.js here. Needs the native part of each platform in
// the folder `artifacts`: `node scripts/build-artifact.mjs --target=<target>`. `scripts/platforms.mjs` brings the rest.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EMULATED, preparePlatform } from '../../scripts/platforms.mjs'
import { makeApp, startMainJob } from '../support/main-job.js'

let job: Awaited<ReturnType<typeof startMainJob>>
beforeAll(async () => {
  job = await startMainJob()
})
afterAll(() => job.stop())

describe.each(EMULATED)('%s', (target) => {
  test('the main job', async () => {
    const { app, artifacts, program, args, at, cannotConnect } = preparePlatform(target)
    await makeApp(app, artifacts)
    const without = cannotConnect ? ['--without-server'] : []
    const answer = await job.run(app, program, ...args, `${at}/main-job.mjs`, ...without)
    const { server, ...others } = job.results
    expect(answer).toEqual({ runtime: 'node', results: cannotConnect ? others : { ...others, server } })
  })
})
