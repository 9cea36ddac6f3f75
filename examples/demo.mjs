// Prints what getSession returns for several requests, with a real PostgreSQL and cookies made by the real Auth.js.
// Exits with code 1 if a result is not what the README documents.

import { deepStrictEqual } from 'node:assert'
import { performance } from 'node:perf_hooks'
import pg from 'pg'
import { mintCookie, signIn } from '../__test__/support/cookies.mjs'
import { startPostgres } from '../__test__/support/postgres.mjs'
import { claimsOf, createSession, createTables, createUser } from '../__test__/support/tenants.mjs'
import { AuthBridge } from '../index.js'

const OLD_SECRET = 'the secret until the last rotation'
const SECRET = 'the secret since the last rotation'
const UNAUTHENTICATED = {}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
const server = await startPostgres()
const database = new pg.Client(server.url())
const bridge = new AuthBridge({ secret: [SECRET, OLD_SECRET], databaseUrl: server.url(), secureCookie: false })
try {
  await database.connect()
  await createTables(database)
  await demonstrate()
} finally {
  await bridge.close()
  await database.end()
  await server.dispose()
}

async function demonstrate() {
  const msp = await createTenant('acme', 'enterprise')
  const other = await createTenant('globex', 'solo')

  await show('An internal user of the tenant acme, signed in with Google', {
    cookie: await mintCookie(msp.internal.claims, { secret: SECRET }),
    expected: msp.internal.body,
  })
  await show('A client-portal user of the tenant globex', {
    cookie: await mintCookie(other.client.claims, { secret: SECRET }),
    expected: other.client.body,
  })

  const proToken = 'pro-'.repeat(1100)
  const chunked = await signIn({ ...other.internal.claims, proToken }, { secret: SECRET })
  await show(`A session in ${chunked.match(/session-token\.\d=/g)?.length} cookies, too long for one`, {
    cookie: chunked,
    expected: withUser(other.internal.body, { proToken }),
  })

  await show('A cookie from before the secret was rotated', {
    cookie: await mintCookie(msp.client.claims, { secret: OLD_SECRET }),
    expected: msp.client.body,
  })

  const revoked = await mintCookie(msp.internal.claims, { secret: SECRET })
  await database.query('UPDATE sessions SET revoked_at = now() WHERE session_id = $1', [msp.internal.claims.session_id])
  await show('The same internal user of acme, after "sign out everywhere"', {
    cookie: revoked,
    expected: UNAUTHENTICATED,
  })

  await show('A token that expired a minute ago', {
    cookie: await mintCookie(other.client.claims, { secret: SECRET, maxAge: -60 }),
    expected: UNAUTHENTICATED,
  })

  await database.query(`UPDATE users SET user_type = 'internal' WHERE user_id = $1`, [other.client.claims.id])
  await show('The client-portal user of globex, after the database made it an internal one', {
    cookie: await mintCookie(other.client.claims, { secret: SECRET }),
    expected: UNAUTHENTICATED,
  })

  await show('No session cookie', { cookie: 'theme=dark', expected: UNAUTHENTICATED })
}

/** @param {string} title @param {{ cookie: string, expected: object }} request */
async function show(title, { cookie, expected }) {
  const start = performance.now()
  const body = await bridge.getSession(cookie)
  const duration = performance.now() - start
  const text = JSON.stringify(body, shorten, 2).replaceAll('\n', '\n  ')
  console.log(`\n${title}\n  Cookie: ${shorten('', cookie)}\n  ${duration.toFixed(2)} ms\n  ${text}`)
  deepStrictEqual(body, expected)
}

/** A tenant with an internal and a client-portal user, both signed in. @param {string} slug @param {string} plan */
async function createTenant(slug, plan) {
  const internal = await createUser(database, { user_type: 'internal', email: `ada@${slug}.example` })
  const { tenant } = internal
  const client = await createUser(database, { tenant, user_type: 'client', email: `grace@client.${slug}.example` })
  return {
    internal: await signedIn(internal, {
      name: 'Ada',
      tenantSlug: slug,
      plan,
      addons: ['backup'],
      login_method: 'google',
    }),
    client: await signedIn(client, { name: 'Grace', tenantSlug: slug, plan, clientId: client.user_id }),
  }
}

/**
 * Creates a session and returns its claims and the body expected for them.
 *
 * @param {Awaited<ReturnType<typeof createUser>>} user
 * @param {Record<string, unknown>} more additional claims
 */
async function signedIn(user, more) {
  const session = await createSession(database, user)
  const claims = claimsOf(user, session, { ...more, role: 'never passed on' })
  const { login_method, ...ofUser } = more
  const body = {
    session_id: session.session_id,
    login_method: login_method ?? session.login_method,
    user: {
      id: user.user_id,
      email: user.email,
      username: '',
      tenant: user.tenant,
      user_type: user.user_type,
      addons: [],
      trial_end: null,
      solo_pro_trial_end: null,
      premium_trial_end: null,
      premium_trial_effective_date: null,
      premium_trial_confirmed: false,
      subscription_status: null,
      ...ofUser,
    },
  }
  return { claims, body }
}

/** @param {{ user: object }} body @param {object} fields */
function withUser(body, fields) {
  return { ...body, user: { ...body.user, ...fields } }
}

/** Cuts long text to fit a line. @param {string} _key @param {unknown} value */
function shorten(_key, value) {
  const long = typeof value === 'string' && value.length > 90
  return long ? `${value.slice(0, 60)}... (${value.length} characters)` : value
}
