// What a page of a real Next.js production build costs: without a guard, with this package in proxy and page, with Auth.js in the
// proxy and this package in the page, with Auth.js alone. On Linux only. See README.md in this folder.
//
//   node benchmark/page.mjs [--rounds=9] [--seconds=2]

import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { Agent, get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { installWithPackage, next, ROOT, run, serve } from '../__test__/support/apps.mjs'
import { mintCookie } from '../__test__/support/cookies.mjs'
import { freePort, startPostgres } from '../__test__/support/postgres.mjs'
import { claimsOf, createSession, createTables, createUser } from '../__test__/support/tenants.mjs'
import { runRounds } from './measure.mjs'
import { SECRET } from './seed.mjs'

const IN_FLIGHT = 16
const NO_GUARD = 'no guard'
/** The proxy and the page of each case, and options of the bridge. @type {Record<string, [proxy: string, page: string, options?: object]>} */
const CASES = {
  [NO_GUARD]: ['none', 'plain'],
  'auth() in the page alone': ['none', 'ours'],
  'proxy and auth()': ['ours', 'ours'],
  'proxy and auth(), maxStaleness': ['ours', 'ours', { maxStaleness: 60_000 }],
  'Auth.js in the proxy, auth() in the page': ['authjs', 'ours'],
  'Auth.js alone': ['authjs', 'authjs'],
}

const { values: given } = parseArgs({ options: { rounds: { type: 'string' }, seconds: { type: 'string' } } })
const rounds = Number(given.rounds ?? 9)
const seconds = Number(given.seconds ?? 2)
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

const database = await startPostgres()
const app = await mkdtemp(join(tmpdir(), 'authjs-bridge-page-'))
/** Each case has its own, so that all are equally warm. @type {Map<string, Server>} */
const servers = new Map()
try {
  await buildApp()
  const cookie = await signIn()
  for (const [key, [proxy, , options]] of Object.entries(CASES)) servers.set(key, await start(proxy, options))
  await compare(cookie)
} finally {
  await Promise.all([...servers.values()].map((server) => server.stop()))
  await rm(app, { recursive: true })
  await database.dispose()
}

async function buildApp() {
  await cp(join(ROOT, 'benchmark', 'page-app'), app, { recursive: true })
  for (const file of ['package.json', 'package-lock.json']) {
    await cp(join(ROOT, 'examples', 'nextjs', file), join(app, file))
  }
  await installWithPackage(app)
  await run(...next(app, ['build']), { cwd: app })
}

async function signIn() {
  const client = new pg.Client(database.url())
  await client.connect()
  try {
    await createTables(client)
    const user = await createUser(client)
    const session = await createSession(client, user)
    // Not due while this runs.
    const rolled = { name: 'Ada', rolled_at: Math.floor(Date.now() / 1000) }
    return await mintCookie(claimsOf(user, session, rolled), { secret: SECRET })
  } finally {
    await client.end()
  }
}

/** @typedef {Awaited<ReturnType<typeof start>>} Server */

/** @param {string} proxy @param {object} [options] */
async function start(proxy, options) {
  const port = await freePort()
  const origin = `http://localhost:${port}`
  const env = {
    ...{ BENCHMARK_PROXY: proxy, AUTH_SECRET: SECRET, AUTH_URL: origin, DATABASE_URL: database.url() },
    AUTH_BRIDGE_OPTIONS: JSON.stringify({ updateAge: 86_400, maxAge: 30 * 86_400, ...options }),
  }
  const [command, args] = next(app, ['start', '--port', String(port)])
  const { pid, stop } = await serve(command, args, { cwd: app, env, ready: /Ready in/ })
  if (pid === undefined) throw new Error('the server has no process')
  return { port, pid, stop, agent: new Agent({ keepAlive: true, maxSockets: IN_FLIGHT }) }
}

/** @param {string} cookie */
async function compare(cookie) {
  const trials = Object.entries(CASES).map(([key, [, page]]) => {
    const server = /** @type {Server} */ (servers.get(key))
    return { key, inFlight: IN_FLIGHT, measure: () => measure(server, `/${page}`, cookie) }
  })
  for (const { measure } of trials) await measure()
  const results = await runRounds(trials, { rounds, warmUp: true })
  const median = (/** @type {string} */ of, /** @type {string} */ metric) =>
    results.find(({ key }) => key === of)?.metrics[metric]?.median ?? Number.NaN
  for (const { key } of results) {
    const [cpu, perSecond] = [median(key, 'cpu'), median(key, 'requestsPerSecond')]
    const ratio = (cpu / median(NO_GUARD, 'cpu')).toFixed(2)
    console.log(
      `${key}: ${(cpu / 1000).toFixed(2)} ms of CPU a request, ${ratio} x; ${Math.round(perSecond)} requests/s`,
    )
  }
}

/** @param {Server} server @param {string} path @param {string} cookie */
async function measure(server, path, cookie) {
  await request(server, path, cookie, seconds / 3)
  const cpu = await cpuTime(server.pid)
  const began = performance.now()
  const requests = await request(server, path, cookie, seconds)
  const elapsed = performance.now() - began
  return { cpu: ((await cpuTime(server.pid)) - cpu) / requests, requestsPerSecond: requests / (elapsed / 1000) }
}

/** @param {Server} server @param {string} path @param {string} cookie @param {number} duration in s */
async function request({ port, agent }, path, cookie, duration) {
  const end = performance.now() + duration * 1000
  let requests = 0
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      while (performance.now() < end) {
        const body = await fetchText({ port, agent, path, headers: { cookie } })
        if (!body.includes('Ada')) throw new Error(`${path}: not signed in`)
        requests++
      }
    }),
  )
  return requests
}

/** @param {import('node:http').RequestOptions} options @returns {Promise<string>} */
function fetchText(options) {
  return new Promise((resolve, reject) => {
    get(options, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => {
        body += chunk
      })
      response.on('end', () => resolve(body))
      response.on('error', reject)
    }).on('error', (error) => {
      // The server has closed a connection that was idle while others were measured.
      if ('code' in error && error.code === 'ECONNRESET') resolve(fetchText(options))
      else reject(error)
    })
  })
}

/** CPU time of all threads of a process and of those that it has started, in µs. @param {number} pid @returns {Promise<number>} */
async function cpuTime(pid) {
  const tasks = await readdir(`/proc/${pid}/task`)
  const ofThread = async (/** @type {string} */ task) => {
    const [onCpu] = (await readFile(`/proc/${pid}/task/${task}/schedstat`, 'utf8')).split(' ')
    const children = (await readFile(`/proc/${pid}/task/${task}/children`, 'utf8')).trim()
    const ofChildren = await Promise.all(
      children === '' ? [] : children.split(' ').map((child) => cpuTime(Number(child))),
    )
    return Number(onCpu) / 1000 + ofChildren.reduce((sum, time) => sum + time, 0)
  }
  return (await Promise.all(tasks.map(ofThread))).reduce((sum, time) => sum + time, 0)
}
