// Fills the tables like those of an app in use, and makes the cookies of the requests.

import pg from 'pg'
import { mintCookie } from '../__test__/support/cookies.mjs'
import { claimsOf, createSession, createTables, createUser } from '../__test__/support/tenants.mjs'

export const SECRET = 'the secret of the benchmark, so so long'

/** @typedef {typeof FULL} Size */
/** @typedef {Awaited<ReturnType<typeof seed>>} Requests */

export const FULL = { sessions: 100_000, users: 2_000, tenants: 20, cookies: 1_000 }
export const SHORT = { sessions: 2_000, users: 200, tenants: 20, cookies: 50 }

// Ids are computed from numbers in SQL, so that pgbench, whose variables are numbers, finds the same sessions.
export const TENANT_ID = (/** @type {string} */ number) => `md5('tenant ' || ${number})::uuid`
export const SESSION_ID = (/** @type {string} */ number) => `md5('session ' || ${number})::uuid`
const USER_ID = (/** @type {string} */ number) => `md5('user ' || ${number})::uuid`

/**
 * Fills a new database. The sessions that get cookies are spread evenly over the table.
 *
 * @param {string} url
 * @param {Size} size
 */
export async function seed(url, size) {
  const database = new pg.Client(url)
  await database.connect()
  try {
    await createTables(database)
    await fill(database, size)
    const cookies = await liveCookies(database, size)
    const others = await otherCookies(database, cookies[0] ?? '')
    await database.query('VACUUM ANALYZE')
    return { cookies, others }
  } finally {
    await database.end()
  }
}

/** @param {pg.Client} database @param {Size} size */
async function fill(database, { sessions, users, tenants }) {
  const ofUser = `n % ${users}`
  const ofTenant = `n % ${tenants}`
  await database.query(`
    INSERT INTO users (tenant, user_id, user_type, email)
    SELECT ${TENANT_ID(`(${ofTenant})`)}, ${USER_ID('n')}, CASE WHEN n % 3 = 0 THEN 'client' ELSE 'internal' END,
           'user' || n || '@example.com'
    FROM generate_series(0, ${users - 1}) n`)
  await database.query(`
    INSERT INTO sessions (tenant, session_id, user_id, login_method, expires_at, ip_address, user_agent, device_type)
    SELECT ${TENANT_ID(`(${ofTenant})`)}, ${SESSION_ID('n')}, ${USER_ID(`(${ofUser})`)}, 'credentials',
           CASE WHEN n % 2 = 0 THEN now() + interval '30 days' END, '192.0.2.' || n % 256,
           'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'desktop'
    FROM generate_series(0, ${sessions - 1}) n`)
}

/** @param {pg.Client} database @param {Size} size */
async function liveCookies(database, { sessions, cookies }) {
  const { rows } = await database.query(`
    SELECT n, s.tenant, s.session_id, s.user_id, s.login_method, u.user_type, u.email
    FROM generate_series(0, ${sessions - 1}, ${sessions / cookies}) n
    JOIN sessions s ON s.session_id = ${SESSION_ID('n')}
    JOIN users u ON u.tenant = s.tenant AND u.user_id = s.user_id
    ORDER BY n`)
  return Promise.all(rows.map((row) => mintCookie(claimsOf(row, row, profile(row)), { secret: SECRET })))
}

/** The app's own claims, for a cookie of about 1.4 kB. @param {Record<string, any>} row */
function profile({ n, tenant, user_type }) {
  return {
    name: n % 5 === 0 ? 'Zoë "Z" Müller' : 'Ada Lovelace',
    username: `user${n}`,
    image: `https://cdn.example/avatars/${n}.png`,
    proToken: String(n).padStart(120, 'p'),
    tenantSlug: 'acme',
    plan: 'enterprise',
    addons: n % 2 === 0 ? ['backup', 'reports'] : [],
    trial_end: n % 3 === 0 ? '2027-01-01T00:00:00.000Z' : null,
    premium_trial_confirmed: n % 7 === 0,
    subscription_status: 'active',
    ...(user_type === 'client' ? { clientId: tenant, contactId: tenant } : {}),
  }
}

/**
 * Requests without a live session, by the reason.
 *
 * @param {pg.Client} database
 * @param {string} live
 * @returns {Promise<Record<string, string>>}
 */
async function otherCookies(database, live) {
  const user = await createUser(database)
  const mint = async (
    /** @type {Parameters<typeof createSession>[2]} */ columns,
    /** @type {Record<string, unknown>} */ claims = {},
    /** @type {number | undefined} */ maxAge = undefined,
  ) => mintCookie(claimsOf(user, await createSession(database, user, columns), claims), { secret: SECRET, maxAge })
  const [protectedHeader = '', key = '', iv = '', ciphertext = '', tag = ''] = live.split('.')
  const damaged = (/** @type {string} */ part) => (part[0] === 'A' ? 'B' : 'A') + part.slice(1)
  return {
    'revoked session': await mint({ revoked_at: new Date() }),
    'session whose row expired': await mint({ expires_at: new Date(Date.now() - 60_000) }),
    'token that expired': await mint({}, {}, -60),
    'session of another user': await mint({}, { id: (await createUser(database, { tenant: user.tenant })).user_id }),
    'session of another tenant': await mint({}, { tenant: (await createUser(database)).tenant }),
    'other type of user': await mint({}, { user_type: 'client' }),
    'no such session': await mint({}, { session_id: user.user_id }),
    'token of another secret': await mintCookie(claimsOf(user, await createSession(database, user)), {
      secret: 'some other secret, also long enough',
    }),
    'damaged initialisation vector': [protectedHeader, key, damaged(iv), ciphertext, tag].join('.'),
    'damaged ciphertext': [protectedHeader, key, iv, damaged(ciphertext), tag].join('.'),
    'damaged tag': [protectedHeader, key, iv, ciphertext, damaged(tag)].join('.'),
    'cut token': live.slice(0, -200),
    'no token': `${live.slice(0, live.indexOf('='))}=`,
    'other cookies': 'theme=dark; lang=en',
    'no cookie': '',
  }
}
