// The main job in Bun and in Deno, with the packages as they are published and a real PostgreSQL: the same results as in Node.js, and the
// process ends.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeApp, ROOT, startMainJob } from '../support/main-job.js'

const bin = (name: string) => join(ROOT, 'node_modules', '.bin', name)
/** All that Deno has to be allowed. */
const PERMISSIONS = ['--allow-ffi', '--allow-env', '--allow-read', '--allow-net=127.0.0.1']

let app: string
let job: Awaited<ReturnType<typeof startMainJob>>
beforeAll(async () => {
  app = await mkdtemp(join(tmpdir(), 'authjs-bridge-runtimes-'))
  await makeApp(app)
  job = await startMainJob()
})
afterAll(async () => {
  await job.stop()
  await rm(app, { recursive: true })
})

const inDeno = (permissions: string[]) =>
  job.run(app, bin('deno'), 'run', '--no-lock', '--no-prompt', ...permissions, 'main-job.mjs')

test('in Node.js', async () => {
  expect(await job.run(app, process.execPath, 'main-job.mjs')).toEqual({ runtime: 'node', results: job.results })
})

test('in Bun', async () => {
  expect(await job.run(app, bin('bun'), 'run', 'main-job.mjs')).toEqual({ runtime: 'bun', results: job.results })
})

test('in Deno, with these permissions', async () => {
  expect(await inDeno(PERMISSIONS)).toEqual({ runtime: 'deno', results: job.results })
})

test.each(PERMISSIONS)('Deno refuses without %s, and says so', async (permission) => {
  const refused = inDeno(PERMISSIONS.filter((other) => other !== permission))
  const [name = ''] = permission.split('=')
  await expect(refused).rejects.toMatchObject({ stderr: expect.stringContaining(name) })
})
