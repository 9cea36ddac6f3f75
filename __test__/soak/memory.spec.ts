// Memory doesn't grow with the number of calls and of worker threads that have ended. 2,000,000 calls would show a leak of 16
// bytes per call; the default is a fifth of that. SOAK_CALLS and SOAK_WORKERS set the numbers.

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
/** Allowed growth: half of the leak that must be found, and well above the noise of the allocator. */
const BYTES_PER_CALL = 8
/** Allowed growth. Unsettled promises, which Node-API can't free, and napi-rs leak about 3 KiB per worker. */
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

/** Requests of all kinds; the first has a live session. */
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

/** Runs calls.mjs. `growth` is in bytes for the whole run, extrapolated from the first quarter and the last one. */
async function soak(amount: { calls: number; workers: number }) {
  // A small young generation, since its growth would look like a leak.
  const node = ['--expose-gc', '--max-semi-space-size=1', fileURLToPath(new URL('calls.mjs', import.meta.url))]
  // Few arenas, so that threads share freed memory.
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
    return `${(rss / MIB).toFixed(1)} MiB (${(heap / MIB).toFixed(1)} of it JavaScript heap)`
  })
  console.log(`start: ${start}, middle: ${middle}, end: ${end}`)
  // The middles of the two quarters are three quarters of the run apart.
  return { wrong, growth: (last - first) / 0.75 }
}

function mean(memory: Result['memory']) {
  return memory.reduce((sum, { rss }) => sum + rss, 0) / memory.length
}
