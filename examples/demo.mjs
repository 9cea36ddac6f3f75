// Shows the life of a session, with a real PostgreSQL and the real Auth.js. Prints each call, its time and its result. Exits with
// code 1 if a result is not what the documentation says.

import { deepStrictEqual, ok, strictEqual } from 'node:assert'
import { randomUUID } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { Auth, skipCSRFCheck } from '@auth/core'
import credentials from '@auth/core/providers/credentials'
import pg from 'pg'
import { mintCookie, signIn } from '../__test__/support/cookies.mjs'
import { startPostgres } from '../__test__/support/postgres.mjs'
import { createWatchedTables } from '../__test__/support/tenants.mjs'
import { AuthBridge } from '../index.js'
import { withSessions } from '../next-auth/index.js'
import { heading, show, showError, showRow } from './show.mjs'

const OLD_SECRET = 'the secret until the last rotation'
const SECRET = 'the secret since the last rotation'
const DESKTOP = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36'
const PHONE = 'Mozilla/5.0 (Android 16; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0'
const DAY = 24 * 60 * 60 * 1000

/** @typedef {{ sessionId: string, cookie: string }} Session */

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
process.stdout.write('Starting PostgreSQL in a temporary directory ... ')
const server = await startPostgres()
console.log('done')

const options = { databaseUrl: server.url(), secret: [SECRET, OLD_SECRET], secureCookie: false, freshClaims: ['plan'] }
const bridge = new AuthBridge(options)
const caching = new AuthBridge({ ...options, maxStaleness: 600_000, listen: true })
const database = new pg.Client(server.url())
const [tenant, userId] = [randomUUID(), randomUUID()]
const ada = { tenant, id: userId, user_type: 'internal', name: 'Ada', email: 'ada@acme.example' }
try {
  await database.connect()
  await createWatchedTables(database)
  await sql(`ALTER TABLE users ADD COLUMN plan text DEFAULT 'solo'`)
  await sql(`INSERT INTO users VALUES ($1, $2, 'internal')`, tenant, userId)
  const { desktop, phone } = await start()
  await use(phone)
  await end(desktop, phone)
  await refuse()
} finally {
  await caching.close()
  await bridge.close()
  await database.end()
  await server.dispose()
}
console.log('\nAll results are as documented. To see it in a browser: npm run example')

async function start() {
  heading(
    'A session starts',
    'Ada has signed in. createSession inserts the row of her session, and sealSession makes the encrypted cookie that names it. The first call also connects.',
  )
  const { sessionId } = await show(() => bridge.createSession({ tenant, userId, userAgent: DESKTOP }))
  const { cookieHeader } = await show(() => bridge.sealSession({ ...ada, session_id: sessionId }))

  heading(
    'A request is answered',
    'The bridge opens the cookie and asks PostgreSQL whether its session still lives. This is the body of GET /api/auth/session.',
  )
  const session = await show(() => bridge.getSession(cookieHeader))
  strictEqual(session.session_id, sessionId)
  strictEqual(session.user?.plan, 'solo')

  heading(
    'Auth.js signs in',
    'The same on a phone, by the real Auth.js; in an app: NextAuth(withSessions(config)). It starts the row and sets the cookie, and the bridge reads it.',
  )
  /** @type {(request: Request) => import('@auth/core').AuthConfig} */
  const config = () => ({
    providers: [credentials({ authorize: () => ada })],
    callbacks: { jwt: ({ token, user }) => ({ ...token, ...user }) },
    trustHost: true,
    skipCSRFCheck,
  })
  const request = new Request('http://localhost:3000/auth/callback/credentials', {
    method: 'POST',
    body: new URLSearchParams(),
    headers: { 'user-agent': PHONE },
  })
  const cookie = await show(async () => cookiesOf(await Auth(request, await withSessions(config, { bridge })(request))))
  const { session_id: current = '', user } = await show(() => bridge.getSession(cookie), withoutUser)
  deepStrictEqual(user, session.user)

  heading(
    'The devices are listed',
    'Each session is a row. So a user can see where they are signed in, and end what they do not know.',
  )
  const devices = await show(() => bridge.listSessions({ tenant, userId, current }), namesOf)
  deepStrictEqual(namesOf(devices), [
    { deviceName: 'Firefox on Android', current: true },
    { deviceName: 'Chrome on Linux', current: undefined },
  ])
  return { desktop: { sessionId, cookie: cookieHeader }, phone: { sessionId: current, cookie } }
}

/** @param {Session} phone */
async function use({ sessionId }) {
  heading(
    'The session is kept alive',
    'A day later the app is used again: the row lives on, and the browser gets a new cookie. For the next five minutes it is only read.',
  )
  await daysPass(1)
  const rolled_at = Math.floor(Date.now() / 1000) - DAY / 1000
  const cookie = await mintCookie({ ...ada, session_id: sessionId, rolled_at }, { secret: SECRET })
  const before = await show(() => expiryOf(sessionId))
  const rolled = await show(() => bridge.refreshSession(cookie), newCookie)
  strictEqual(rolled.setCookie.length, 1)
  ok((await show(() => expiryOf(sessionId))) - before >= DAY)
  const { cookieHeader } = rolled
  const again = await show(() => bridge.refreshSession(cookieHeader), newCookie)
  deepStrictEqual(again, { session: rolled.session, setCookie: [], cookieHeader })

  heading(
    'The plan changes',
    'The option freshClaims reads columns in the same query, and they count before the token. So a change shows without a new sign-in.',
  )
  await show(() => sql(`UPDATE users SET plan = 'premium' WHERE user_id = $1 RETURNING plan`, userId))
  strictEqual(await show(async () => (await bridge.getSession(cookie)).user?.plan), 'premium')
}

/** @param {Session} desktop @param {Session} phone */
async function end(desktop, phone) {
  heading(
    'A session ends',
    'Ada signs the desktop out. No call that starts after this returns the session. With Auth.js alone, the cookie would be good until it expires.',
  )
  const { sessionId } = desktop
  strictEqual(await show(() => bridge.revokeSession({ tenant, userId, sessionId, reason: 'lost' })), true)
  deepStrictEqual(await show(() => bridge.getSession(desktop.cookie)), {})

  heading(
    'An answer is kept',
    'With maxStaleness an answer may be reused for as long as you say, here ten minutes. The first call asks the database, the second does not.',
  )
  await listening()
  const { hits } = caching.stats().cache
  await show(async () => (await caching.getSession(phone.cookie)).user?.plan)
  strictEqual(await show(async () => (await caching.getSession(phone.cookie)).user?.plan), 'premium')
  strictEqual(caching.stats().cache.hits, hits + 1)

  heading(
    'A session ends elsewhere',
    'Somebody ends the one on the phone, by SQL. With listen, PostgreSQL tells each process that keeps an answer: it is dropped in milliseconds.',
  )
  await show(() =>
    sql('UPDATE sessions SET revoked_at = now() WHERE session_id = $1 RETURNING revoked_at', phone.sessionId),
  )
  await show(() => readUntilItEnds(caching, phone.cookie))
  strictEqual(caching.stats().listener?.notifications, 1)

  heading(
    'The limit is reached',
    'Where a user may have one session, a further one ends the oldest, or is refused. The limit is exact, however many processes sign in.',
  )
  const first = await bridge.createSession({ tenant, userId })
  await show(() => bridge.createSession({ tenant, userId, maxSessions: 1, whenFull: 'revoke-oldest' }))
  const [ended] = await sql('SELECT revoked_reason FROM sessions WHERE session_id = $1', first.sessionId)
  strictEqual(ended.revoked_reason, 'max_sessions')
  await showError('ERR_AUTH_BRIDGE_TOO_MANY_SESSIONS', () =>
    bridge.createSession({ tenant, userId, maxSessions: 1, whenFull: 'refuse' }),
  )

  heading('All sessions end', 'After a change of the password, for example.')
  await bridge.createSession({ tenant, userId })
  strictEqual(await show(() => bridge.revokeSessions({ tenant, userId, reason: 'new password' })), 2)
  deepStrictEqual(await show(() => bridge.listSessions({ tenant, userId })), [])

  heading(
    'Old rows are deleted',
    'Rows of ended sessions say why somebody was signed out. Half a year later they are not needed any more.',
  )
  await daysPass(180)
  strictEqual(await show(() => bridge.deleteEndedSessions({ before: new Date(Date.now() - 90 * DAY) })), 5)
}

async function refuse() {
  heading(
    'Other requests',
    'getSession answers {} where there is no live session, whatever the client sends. explainSession tells you the reason.',
  )
  const { sessionId } = await bridge.createSession({ tenant, userId })
  const claims = { ...ada, session_id: sessionId }
  /** @type {[request: string, cookie: string, reason: string][]} */
  const requests = [
    ['the secret before the rotation', await mintCookie(claims, { secret: OLD_SECRET }), 'live'],
    ['a token in two cookies', await signIn({ ...claims, proToken: 'x'.repeat(4400) }, { secret: SECRET }), 'live'],
    ['no session cookie', 'theme=dark', 'no-cookie'],
    ['expired a minute ago', await mintCookie(claims, { secret: SECRET, maxAge: -60 }), 'token-expired'],
    ['a secret of somebody else', await mintCookie(claims, { secret: 'of another app' }), 'no-matching-secret'],
    [
      'of a client, who is internal',
      await mintCookie({ ...claims, user_type: 'client' }, { secret: SECRET }),
      'user-type-changed',
    ],
  ]
  for (const [request, cookie, expected] of requests) {
    const { reason } = await bridge.explainSession(cookie)
    const { session_id } = await showRow(request.padEnd(32) + reason.padEnd(20), () => bridge.getSession(cookie))
    strictEqual(reason, expected)
    strictEqual(session_id, expected === 'live' ? sessionId : undefined)
  }

  heading('The database is down', 'The call rejects: an outage never looks like a sign-out.')
  await database.end()
  await server.stop()
  const { cookieHeader } = await bridge.sealSession(claims)
  await showError('ERR_AUTH_BRIDGE_DATABASE', () => bridge.getSession(cookieHeader))
}

/** @param {string} text @param {...unknown} values */
async function sql(text, ...values) {
  return (await database.query(text, values)).rows
}

/** @param {string} sessionId */
async function expiryOf(sessionId) {
  const [row] = await sql('SELECT expires_at FROM sessions WHERE session_id = $1', sessionId)
  return row.expires_at
}

/** As if the sessions were that much older. @param {number} days */
async function daysPass(days) {
  for (const column of ['created_at', 'last_activity_at', 'expires_at', 'revoked_at']) {
    await sql(`UPDATE sessions SET ${column} = ${column} - make_interval(days => $1)`, days)
  }
}

/** The `Cookie` header of a browser that got this response. @param {Response} response */
function cookiesOf({ headers }) {
  return headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ')
}

/** @param {import('../index.js').RefreshedSession} refreshed */
function newCookie({ setCookie }) {
  return { setCookie }
}

/** @param {import('../index.js').AuthSessionResponse} session */
function withoutUser({ session_id, login_method }) {
  return { session_id, login_method }
}

/** @param {import('../index.js').ListedSession[]} sessions */
function namesOf(sessions) {
  return sessions.map(({ deviceName, current }) => ({ deviceName, current }))
}

/** Waits until notifications come through. */
async function listening() {
  await caching.health()
  const signal = AbortSignal.timeout(10_000)
  while (!caching.stats().listener?.listening) await setImmediate(undefined, { signal })
}

/** @param {AuthBridge} bridge @param {string} cookie */
async function readUntilItEnds(bridge, cookie) {
  const signal = AbortSignal.timeout(10_000)
  while ((await bridge.getSession(cookie)).user) await setImmediate(undefined, { signal })
}
