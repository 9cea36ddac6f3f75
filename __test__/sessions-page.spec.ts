// The code of docs/sessions.md, run as it stands on the page.

import { rm } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { defaultBridge, getSession, listSessions } from '../index.js'
import { SECRET } from './support/bridges.js'
import { useDatabase } from './support/database.js'
import { documented, writeApp } from './support/documented-app.js'
import { codeBlocks } from './support/pages.js'
import { createUser } from './support/tenants.mjs'

const PAGE = 'docs/sessions.md'
const FILES = codeBlocks(PAGE)
  .filter(({ language }) => language === 'ts')
  .map(({ text }) => /^\/\/ (\S+)\n/.exec(text)?.[1] ?? '')

const database = useDatabase()
const app = writeApp(Object.fromEntries(FILES.map((file) => [file, documented(PAGE, file)])))
let user: { tenant: string; id: string; user_type: string }
beforeAll(() => {
  vi.stubEnv('AUTH_SECRET', SECRET)
  vi.stubEnv('AUTH_URL', 'http://localhost:3000')
  vi.stubEnv('DATABASE_URL', database.url)
})
beforeEach(async () => {
  const { tenant, user_id, user_type } = await createUser(database.client)
  user = { tenant, id: user_id, user_type }
})
afterAll(async () => {
  await defaultBridge().close()
  vi.unstubAllEnvs()
  await rm(app.folder, { recursive: true })
})

const live = () => listSessions({ tenant: user.tenant, userId: user.id })
const reasons = async () =>
  (
    await database.client.query('SELECT revoked_reason FROM sessions WHERE user_id = $1 ORDER BY 1', [user.id])
  ).rows.map(({ revoked_reason }) => revoked_reason)

test('every block of code names its file, and has a test', () => {
  expect(FILES).toEqual([
    'lib/start-session.ts',
    'lib/start-with-location.ts',
    'lib/start-one-of-three.ts',
    'lib/devices.ts',
    'lib/sign-out.ts',
    'lib/clean-up.ts',
    'test/sign-in.ts',
  ])
})

test('a session starts with the cookies of its token', async () => {
  const { startSession } = await app.load('lib/start-session.ts')
  const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' }
  const { cookieHeader } = await startSession(user, new Request('http://localhost:3000', { headers }))
  expect(await getSession(cookieHeader)).toMatchObject({ user: { id: user.id } })
  expect(await live()).toMatchObject([{ loginMethod: 'credentials', deviceName: 'Firefox on Linux' }])
})

test('with columns of the app', async () => {
  const { startWithLocation } = await app.load('lib/start-with-location.ts')
  await startWithLocation(user.tenant, user.id)
  const { rows } = await database.client.query('SELECT location_data FROM sessions WHERE user_id = $1', [user.id])
  expect(rows).toEqual([{ location_data: { city: 'Lisbon' } }])
})

test('three of a user live at once', async () => {
  const { startOneOfThree } = await app.load('lib/start-one-of-three.ts')
  for (let count = 0; count < 5; count++) await startOneOfThree(user.tenant, user.id)
  expect(await live()).toHaveLength(3)
  expect(await reasons()).toEqual(['max_sessions', 'max_sessions', null, null, null])
})

test('devices are listed and signed out; a browser test is signed in', async () => {
  const { cookiesOf } = await app.load('test/sign-in.ts')
  const { request } = await app.load('authjs-bridge-next.ts')
  const { devices } = await app.load('lib/devices.ts')
  const { signOutDevice, signOutOthers } = await app.load('lib/sign-out.ts')
  expect([await devices(), await signOutDevice('x'), await signOutOthers()]).toEqual([[], false, 0])

  const url = 'http://localhost:3000'
  const [cookie] = await cookiesOf(user, url)
  expect(cookie).toEqual({ name: 'authjs.session-token', value: expect.stringMatching(/^ey/), url })
  request.cookie = `${cookie.name}=${cookie.value}`
  for (let count = 0; count < 3; count++) await cookiesOf(user, url)
  const listed = await devices()
  expect(listed.filter(({ current }: { current?: true }) => current)).toHaveLength(1)
  const other = listed.find(({ current }: { current?: true }) => !current)
  expect(await signOutDevice(other.sessionId)).toBe(true)
  expect(await signOutOthers()).toBe(2)
  expect(await devices()).toMatchObject([{ current: true, loginMethod: 'test' }])
})

test('old rows are deleted', async () => {
  const { cleanUp } = await app.load('lib/clean-up.ts')
  const { startOneOfThree } = await app.load('lib/start-one-of-three.ts')
  const { sessionId } = await startOneOfThree(user.tenant, user.id)
  await startOneOfThree(user.tenant, user.id)
  await database.client.query(`UPDATE sessions SET expires_at = now() - interval '100 days' WHERE session_id = $1`, [
    sessionId,
  ])
  expect(await cleanUp()).toBe(1)
  expect(await live()).toHaveLength(1)
})
