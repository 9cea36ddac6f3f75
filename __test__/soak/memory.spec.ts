// Memory stays flat: 2,000,000 calls of all kinds would show a leak of 16 bytes each, and worker threads that come and go
// leave next to nothing. A fifth of the calls by default; SOAK_CALLS and SOAK_WORKERS say how many.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { json } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { SECRET } from '../support/bridges.js'
import { COOKIE_NAME, mintCookie, signIn } from '../support/cookies.mjs'
import { withClient } from '../support/faults.js'
import { startPostgres } from '../support/postgres.mjs'
import { claimsOf, createSession, createTables, createUser } from '../support/tenants.mjs'

const CALLS = Number(process.env.SOAK_CALLS ?? 400_000)
const WORKERS = Number(process.env.SOAK_WORKERS ?? 200)
const ROUNDS = 20
/** By how much memory may grow: half of the leak that must be found, and well above what an allocator moves about. */
const BYTES_PER_CALL = 8
/** Node-API can't free a promise that was not settled, and napi-rs keeps a little: together about 3 KiB. */
const BYTES_PER_WORKER = 24 * 1024
const MIB = 2 ** 20

interface Result {
  wrong: number
  /** Bytes in use after each round. */
  memory: { rss: number; heap: number }[]
}

let server: Awaited<ReturnType<typeof startPostgres>>
let requests: { header: string; sessionId?: string }[]

beforeAll(async () => {
  server = await startPostgres()
  requests = await withClient(server.url(), makeRequests)
})
afterAll(() => server.dispose())

/** The first of them is live. */
async function makeRequests(client: pg.Client) {
  await createTables(client)
  const user = await createUser(client)
  const live = await createSession(client, user)
  const revoked = await createSession(client, user, { revoked_at: new Date() })
  const expired = await createSession(client, user, { expires_at: new Date(0) })
  const claims = claimsOf(user, live, { name: 'Ada', addons: ['one', 'two'] })
  const cookie = await mintCookie(claims, { secret: SECRET })
  const large = { ...claims, image: `https://example.com/${'x'.repeat(8000)}` }
  const sessionId = live.session_id
  return [
    { header: cookie, sessionId },
    { header: `theme=dark; ${cookie}; lang=en`, sessionId },
    { header: await signIn(large, { secret: SECRET }), sessionId },
    { header: await mintCookie(large, { secret: SECRET }), sessionId },
    { header: await mintCookie(claimsOf(user, revoked), { secret: SECRET }) },
    { header: await mintCookie(claimsOf(user, expired), { secret: SECRET }) },
    { header: await mintCookie(claimsOf(user, { ...live, session_id: user.tenant }), { secret: SECRET }) },
    { header: await mintCookie(claims, { secret: SECRET, maxAge: -60 }) },
    { header: await mintCookie(claims, { secret: 'another secret, of 32 bytes, too' }) },
    { header: `${cookie.slice(0, -4)}AAAA` },
    { header: cookie.slice(0, -100) },
    { header: `${COOKIE_NAME}=garbage` },
    { header: 'theme=dark' },
  ]
}

test(`${CALLS} calls on the main thread`, async () => {
  const { wrong, growth } = await soak({ calls: CALLS, workers: 0 })
  expect(wrong).toBe(0)
  expect(growth / CALLS).toBeLessThan(BYTES_PER_CALL)
})

test(`${WORKERS} workers that come and go with calls in flight`, async () => {
  const { wrong, growth } = await soak({ calls: 0, workers: WORKERS })
  expect(wrong).toBe(0)
  expect(growth / WORKERS).toBeLessThan(BYTES_PER_WORKER)
})

/** By how many bytes a process has grown that did this; measured from the first quarter to the last, over all of it. */
async function soak(amount: { calls: number; workers: number }) {
  // Young objects have little room, since memory that the garbage collector takes for them looks like a leak.
  const node = ['--expose-gc', '--max-semi-space-size=1', fileURLToPath(new URL('calls.mjs', import.meta.url))]
  // And threads share what they have freed.
  const env = { AUTH_SECRET: SECRET, DATABASE_URL: server.url(), MALLOC_ARENA_MAX: '2' }
  const child = spawn(process.execPath, node, { env, stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(JSON.stringify({ ...amount, rounds: ROUNDS, requests }))
  const [result, [code]] = await Promise.all([json(child.stdout) as Promise<Result>, once(child, 'close')])
  expect(code).toBe(0)

  const { wrong, memory } = result
  const quarter = ROUNDS / 4
  const first = mean(memory.slice(0, quarter))
  const last = mean(memory.slice(-quarter))
  const [start, middle, end] = [memory[0], memory[ROUNDS / 2], memory[ROUNDS - 1]].map(({ rss, heap }) => {
    return `${(rss / MIB).toFixed(1)} MiB (${(heap / MIB).toFixed(1)} of them JavaScript's)`
  })
  console.log(`start: ${start}, middle: ${middle}, end: ${end}`)
  // The middles of the two quarters are three quarters of the way apart.
  return { wrong, growth: (last - first) / 0.75 }
}

function mean(memory: Result['memory']) {
  return memory.reduce((sum, { rss }) => sum + rss, 0) / memory.length
}
