// No output of this package contains a part of a secret, a password, a cookie or a claim, in any scenario that fails.
// `support/scenarios.mjs` runs the scenarios in a child process, whose whole output is searched.

import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { createAuthority } from './support/certificates.js'
import { COOKIE_NAME, mintCookie } from './support/cookies.mjs'
import { withClient } from './support/faults.js'
import { compact, deriveKey, seal, thumbprint } from './support/forge.js'
import { findSecrets } from './support/needles.js'
import { freePort, startPostgres } from './support/postgres.mjs'
import type { Scenario } from './support/scenarios.mjs'
import { runNode } from './support/script.js'
import { claimsOf, createSession, createTables, createUser } from './support/tenants.mjs'
import { codes, reasons } from './support/vocabulary.js'

const SECRETS = {
  secret: 'Zq7Xv9Kw2Jp4Yt8Rm3Hn6Lb5',
  'other secret': 'Bf6Mc3Tz9Qk5Wd8Xg2Pj7Vr4',
  password: 'Nh4@Lp8/Ry2?Cx6:Kb9#Dm3%Vw7&Gt5',
  'cookie of another': 'Jd5Wq8Fn2Zs7Kx4Bv9Hm3Tc6',
  name: 'Uy3Gb7 Ek9Pz2 Lw6Xr8 Dn4',
  email: 'Qx8Vf2Jt6Ms4@Rc9Zk3Wh7.example',
  username: 'Tp6Kz9Hs3Yd7Ln2Wf8Bq4Xm5',
  image: 'Mv7Rq2Xj9Pf6Fk4Zt8Cw3Ls5',
  proToken: 'Gw9Dk4Zn7Xb2Ht6Qs8Jc3Pv5',
  'a changed claim': 'Hb6Tn3Wq9Zd5Kx2Rm8Vf4Gj7',
  'a wrong value': 'Ek2Wz6Rt9Jm4Vb8Qc3Xg7Hd5',
}
const { secret: SECRET, password: PASSWORD, 'a wrong value': WRONG } = SECRETS
const OTHER_SECRET = SECRETS['other secret']
const MARKED = { name: SECRETS.name, email: SECRETS.email, username: SECRETS.username, image: SECRETS.image }
const OTHERS = `theme=${SECRETS['cookie of another']}; authjs.csrf-token=${SECRETS['cookie of another']}`
const CBC = 'A256CBC-HS512'
const EXP = 4_102_444_800

let server: Awaited<ReturnType<typeof startPostgres>>
let silent: Server
let folder: string
let scenarios: Scenario[]
/** The secrets, and parts of every token. */
const searched: Record<string, string> = { ...SECRETS }
const lockers: pg.Client[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-secrets-'))
  const authority = await createAuthority('authority')
  server = await startPostgres({}, await authority.sign('localhost'))
  silent = createServer(() => {}).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  await writeFile(join(folder, 'client.crt'), (await authority.sign('client')).certificate)
  scenarios = [...wrongConfigurations(), ...(await reasonScenarios()), ...(await databaseFaults())]
  for (const { name, header } of scenarios) addTokens(name, String(header))
})
afterAll(async () => {
  for (const locker of lockers) await locker.end()
  silent.close()
  await server.dispose()
  await rm(folder, { recursive: true })
})

/** Adds the secret parts of tokens to `searched`: not the header, which is the same in all tokens. */
function addTokens(name: string, header: string) {
  for (const [token, , iv, ciphertext, tag] of header.matchAll(/eyJ[\w-]*\.(\w*)\.([\w-]+)\.([\w-]+)\.([\w-]+)/g)) {
    if (token.length < 2000)
      Object.assign(searched, { [`token of ${name}`]: `${iv}.${ciphertext.slice(0, 40)}.${tag}` })
  }
}

const whole = (token: string) => `${OTHERS}; ${COOKIE_NAME}=${token}`
/** A token with any header and any plaintext, and a right tag. */
function forge(plaintext: object | string, header: object = {}, secret = SECRET) {
  const key = deriveKey(secret, CBC)
  const text = typeof plaintext === 'string' ? plaintext : JSON.stringify(plaintext)
  return compact(
    seal(key, CBC, Buffer.from(text), { header: { alg: 'dir', enc: CBC, kid: thumbprint(key), ...header } }),
  )
}

/** Each option and variable with a wrong value that is searched for. */
function wrongConfigurations(): Scenario[] {
  const good = { secret: SECRET, databaseUrl: `postgres://u:${encodeURIComponent(PASSWORD)}@127.0.0.1/d` }
  const header = whole('x.y.z')
  const values: [string, unknown][] = [
    ['secret', 7],
    ['secret', ''],
    ['secret', []],
    ['secret', [SECRET, '']],
    ['secret', [SECRET, { secret: OTHER_SECRET }]],
    ['cookieName', `${WRONG} `],
    ['cookieName', { name: 'a', issuer: WRONG }],
    ['cookieName', { name: 'a', unknown: WRONG }],
    ['secureCookie', WRONG],
    ['databaseUrl', { url: PASSWORD }],
    ['password', [PASSWORD]],
    ['password', `${PASSWORD}\0`],
    ['tls', WRONG],
    ['tls', { ca: WRONG }],
    ['tls', { ca: `-----BEGIN CERTIFICATE-----\n${WRONG}` }],
    ['tls', { unknown: WRONG }],
    ['cookie', WRONG],
    ['cookie', { domain: `${WRONG};` }],
    ['cookie', { path: WRONG }],
    ['cookie', { sameSite: WRONG }],
    ['cookie', { secure: WRONG }],
    ['cookie', { unknown: WRONG }],
    ...['maxAge', 'absoluteMaxAge', 'updateAge', 'migrateCookies'].map((name): [string, unknown] => [name, WRONG]),
    ...['preparedStatements', 'sharded', 'ignoreExpiresAt'].map((name): [string, unknown] => [name, WRONG]),
    ...[
      'connectTimeout',
      'queryTimeout',
      'callTimeout',
      'maxConnections',
      'maxLifetime',
      'idleTimeout',
      'maxWaiting',
      'maxStaleness',
      'maxCached',
    ].flatMap((name): [string, unknown][] => [
      [name, WRONG],
      [name, -1],
    ]),
    ['listen', WRONG],
    ['listenUrl', PASSWORD],
    ['listenUrl', { url: PASSWORD }],
    ['unknown', WRONG],
  ]
  const urls = [
    PASSWORD,
    `postgres:/u:${PASSWORD}@h/d`,
    `postgres://u:${PASSWORD}@h/d`,
    `'postgres://u:${PASSWORD}@h/d'`,
    `postgres://u:${encodeURIComponent(PASSWORD)}@h:port/d`,
    `postgres://u:${encodeURIComponent(PASSWORD)}%ff@h/d`,
    `postgres://u:${encodeURIComponent(PASSWORD)}@h/d?sslmode=${WRONG}`,
    `postgres://u@h/d?password=${encodeURIComponent(PASSWORD)}&${WRONG}=1`,
    `postgres://u@h/d?password=a&${PASSWORD}`,
    `postgres://u:a?${PASSWORD}`,
    `postgres://u@h/d?sslcert=${WRONG}&sslkey=${WRONG}`,
    `postgres://u@h/d?sslcert=${encodeURIComponent(join(folder, 'client.crt'))}&sslkey=-----BEGIN%20PRIVATE%20KEY-----%0A${WRONG}`,
  ]
  const parameters = [
    'PGPORT',
    'PGHOSTADDR',
    'PGSSLMODE',
    'PGCONNECT_TIMEOUT',
    'PGTARGETSESSIONATTRS',
    'PGREQUIREAUTH',
    'PGSSLROOTCERT',
  ]
  const variables: Record<string, string>[] = [
    { DATABASE_URL: good.databaseUrl },
    { AUTH_SECRET: SECRET },
    { AUTH_SECRET: '', NEXTAUTH_SECRET: SECRET, DATABASE_URL: urls[0] },
    ...urls.map((url) => ({ AUTH_SECRET_1: SECRET, NEXTAUTH_SECRET: OTHER_SECRET, DATABASE_URL: url })),
    ...parameters.map((name) => ({ AUTH_SECRET: SECRET, PGHOST: 'h', PGPASSWORD: PASSWORD, [name]: WRONG })),
    ...[
      `{ "secret": "${SECRET}"`,
      `'{ "secret": "${SECRET}" }'`,
      JSON.stringify({ secret: SECRET, databaseUrl: urls[0] }),
      JSON.stringify({ secret: [SECRET, null] }),
      JSON.stringify({ tls: { ca: WRONG } }),
      JSON.stringify({ unknown: WRONG }),
    ].map((AUTH_BRIDGE_OPTIONS) => ({ AUTH_BRIDGE_OPTIONS })),
    ...['AUTH_URL', 'NEXTAUTH_URL'].map((name) => ({
      ...{ AUTH_SECRET: SECRET, DATABASE_URL: good.databaseUrl, [name]: WRONG },
    })),
  ]
  return [
    ...values.map(([name, value]) => ({ name: `option ${name}`, options: { ...good, [name]: value }, header })),
    ...urls.map((url) => ({ name: 'option databaseUrl', options: { ...good, databaseUrl: url }, header })),
    ...variables.map((env) => ({ name: `variables ${Object.keys(env)}`, env, header })),
  ]
}

/** Each reason of `explainSession`, with a database that works. */
async function reasonScenarios(): Promise<Scenario[]> {
  const database = await createDatabase('answers')
  const options = { secret: [SECRET, OTHER_SECRET], databaseUrl: server.url({ database }), absoluteMaxAge: 86_400 }
  return withClient(server.url({ database }), async (client) => {
    const user = await createUser(client, { email: SECRETS.email })
    const make = (columns = {}) => createSession(client, user, columns)
    const session = await make()
    const claims = (more: object = {}, of = session) => ({
      ...claimsOf(user, of, { ...MARKED, proToken: SECRETS.proToken }),
      exp: EXP,
      ...more,
    })
    const token = forge(claims())
    const [start, end] = [token.slice(0, 100), token.slice(100)]
    const gone = await createUser(client)
    const ofGone = await createSession(client, gone)
    await client.query('DELETE FROM users WHERE user_id = $1', [gone.user_id])
    const changed = await createUser(client)
    const ofChanged = await createSession(client, changed)
    await client.query(`UPDATE users SET user_type = 'client' WHERE user_id = $1`, [changed.user_id])
    const headers: [string, string][] = [
      ['live', whole(token)],
      ['no-cookie', OTHERS],
      ['no-cookie', `${OTHERS}; authjs.session-token.3000=${token}; __Host-authjs.session-token=${token}`],
      ['header-too-large', `${whole(token)}; a=${SECRETS['cookie of another'].repeat(3000)}`],
      ['empty-cookie', whole('')],
      ['chunk-gap', `${OTHERS}; ${COOKIE_NAME}.0=${start}; ${COOKIE_NAME}.2=${end}`],
      ['stale-chunks', `${COOKIE_NAME}.0=${start}; ${COOKIE_NAME}.1=${end}; ${COOKIE_NAME}.2=${WRONG}`],
      ['token-too-large', whole(token + SECRETS['cookie of another'].repeat(1500))],
      ['malformed-token', whole(SECRETS['cookie of another'])],
      ['malformed-token', whole(`${token}.${token}`)],
      ['database-token', whole(randomUUID())],
      ['signed-token', whole(`eyJ${WRONG}.${WRONG}.${WRONG}`)],
      ['no-cookie', `${OTHERS}, ${COOKIE_NAME}=${token}`],
      ['unsupported-header', whole(forge(claims(), { alg: WRONG, zip: WRONG, crit: [WRONG], iss: WRONG }))],
      ['no-matching-secret', whole(forge(claims(), { kid: WRONG }))],
      ['no-matching-secret', whole(forge(claims(), {}, 'a foreign secret'))],
      ['undecryptable', whole(`${token.slice(0, -4)}AAAA`)],
      ['undecryptable', whole(forge(claims(), { kid: undefined }, 'a foreign secret'))],
      ['malformed-claims', whole(forge(`${JSON.stringify(claims())}]`))],
      ['malformed-claims', whole(forge(claims({ exp: WRONG })))],
      ['missing-claims', whole(forge(claims({ tenant: WRONG, id: WRONG, session_id: WRONG, user_type: WRONG })))],
      ['token-expired', await mintCookie({ ...claims(), exp: undefined }, { secret: SECRET, maxAge: -60 })],
      ['token-not-yet-valid', whole(forge(claims({ nbf: EXP - 1 })))],
      ['session-unknown', whole(forge(claims({ session_id: randomUUID() })))],
      ['session-revoked', whole(forge(claims({}, await make({ revoked_at: new Date() }))))],
      ['session-expired', whole(forge(claims({}, await make({ expires_at: new Date(0) }))))],
      ['session-too-old', whole(forge(claims({}, await make({ created_at: new Date(0) }))))],
      ['user-mismatch', whole(forge(claims({ id: randomUUID() })))],
      ['user-gone', whole(forge({ ...claims(), ...claimsOf(gone, ofGone, MARKED) }))],
      ['user-type-changed', whole(forge({ ...claims(), ...claimsOf(changed, ofChanged, MARKED) }))],
    ]
    return headers.map(([reason, header]) => ({ name: reason, options, header }))
  })
}

/** Each fault of the database; and wrong arguments, and a closed bridge. */
async function databaseFaults(): Promise<Scenario[]> {
  const password = encodeURIComponent(PASSWORD)
  const [empty, old, texts, locked] = await Promise.all(['empty', 'old', 'texts', 'locked'].map(createDatabase))
  const change = (database: string, sql: string) => withClient(server.url({ database }), (client) => client.query(sql))
  await change(empty, 'DROP TABLE sessions, users CASCADE')
  await change(old, 'ALTER TABLE sessions DROP COLUMN revoked_at')
  await change(texts, 'ALTER TABLE sessions ALTER user_id TYPE text; ALTER TABLE users ALTER user_id TYPE text')
  await change('postgres', `CREATE ROLE stranger LOGIN PASSWORD '${PASSWORD}'`)
  await change('postgres', `CREATE ROLE narrow LOGIN PASSWORD '${PASSWORD}' CONNECTION LIMIT 0`)
  const locker = new pg.Client(server.url({ database: locked }))
  lockers.push(locker)
  await locker.connect()
  await locker.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')

  const plain = new URL(inject('serverUrl'))
  const claims = { ...MARKED, proToken: SECRETS.proToken, exp: EXP, user_type: 'internal' }
  const header = whole(forge({ ...claims, id: randomUUID(), tenant: randomUUID(), session_id: randomUUID() }))
  const to = (name: string, databaseUrl: string, more: Partial<Scenario> & { limits?: object } = {}): Scenario => {
    const { limits, ...rest } = more
    return { name, header, options: { secret: SECRET, databaseUrl, callTimeout: 5000, ...limits }, ...rest }
  }
  const on = (database: string, parameters = '') => `${server.url({ database })}${parameters}`
  const local = `postgres://u:${password}@127.0.0.1`
  return [
    to('nothing listens', `${local}:${await freePort()}/d`),
    to('nothing listens on two', `${local}:${await freePort()},127.0.0.1:${await freePort()}/d`),
    to('unknown host', `postgres://u:${password}@host.invalid/d`),
    to('no socket', `postgres://u:${password}@%2Fnowhere/d`),
    to('wrong password', server.url({ password: PASSWORD })),
    to('wrong user', server.url({ user: 'nobody', password: PASSWORD })),
    to('wrong database', on('nowhere')),
    to('no right to read', server.url({ user: 'stranger', password: PASSWORD, database: 'answers' })),
    to('connections used up', server.url({ user: 'narrow', password: PASSWORD, database: 'answers' })),
    to('tables missing', on(empty)),
    to('a column missing', on(old)),
    to('a column of another type', on(texts)),
    to('no TLS', `postgres://u:${password}@${plain.host}/postgres?sslmode=require`),
    to('an authority that is not trusted', on('answers', '?sslmode=verify-full')),
    to('a file that is not there', on('answers', '?sslmode=verify-full&sslrootcert=/nowhere')),
    to('no standby', on('answers', '?target_session_attrs=standby')),
    to('a query that takes too long', on(locked), { limits: { queryTimeout: 300 } }),
    to('a call that takes too long', on(locked), { limits: { callTimeout: 300 } }),
    to('cancelled by the server', on(locked, '?options=-c%20lock_timeout%3D200')),
    to('too many wait', on(locked), { calls: 5, limits: { maxWaiting: 1, maxConnections: 1, callTimeout: 500 } }),
    to('a server that says nothing', `${local}:${(silent.address() as AddressInfo).port}/d`, {
      limits: { connectTimeout: 300, callTimeout: 1000 },
    }),
    to('a read-only database', on('answers', '?options=-c%20default_transaction_read_only%3Don')),
    to('closed', on('answers'), { closed: true }),
    to('a header that is no string', on('answers'), { header: { cookie: header } }),
  ]
}

async function createDatabase(name: string) {
  await withClient(server.url(), (client) => client.query(`CREATE DATABASE ${name}`))
  await withClient(server.url({ database: name }), createTables)
  return name
}

async function runScenarios(env: Record<string, string>) {
  const file = join(folder, 'scenarios.json')
  await writeFile(
    file,
    JSON.stringify(scenarios.map((scenario) => ({ ...scenario, claim: SECRETS['a changed claim'] }))),
  )
  const program = fileURLToPath(new URL('support/scenarios.mjs', import.meta.url))
  const { code, output, errors } = await runNode([program, file], { env, timeout: 60_000 })
  expect(code, errors).toBe(0)
  const PREFIX = 'SCENARIO '
  const lines = output.split('\n').filter((line) => line.startsWith(PREFIX))
  const ran = lines.map((line): { name: string; outcomes: string[] } => JSON.parse(line.slice(PREFIX.length)))
  return { printed: `${output}\n${errors}`, ran }
}

describe.each([
  ['with default settings', {}],
  ['with all debug output enabled', { RUST_LOG: 'trace', RUST_BACKTRACE: '1', NODE_DEBUG: 'module,net,tls,worker' }],
])('%s', (_, env: Record<string, string>) => {
  let printed: string
  let ran: { name: string; outcomes: string[] }[]
  beforeAll(async () => {
    ;({ printed, ran } = await runScenarios(env))
  })

  test('each scenario ran, and had the expected outcome', () => {
    expect(ran.map(({ name }) => name)).toEqual(scenarios.map(({ name }) => name))
    const isConfiguration = (name: string) => /^(option|variables) /.test(name)
    for (const { name, outcomes } of ran) {
      // Wrong claims are noticed first.
      const others = outcomes.filter((outcome) => outcome !== 'ERR_AUTH_BRIDGE_ARGUMENT')
      if (isConfiguration(name)) expect(others, name).toEqual(['ERR_AUTH_BRIDGE_CONFIG'])
      else expect(outcomes, name).not.toEqual([])
    }
  })

  test('they reach every code but that of bugs, and every reason', () => {
    const reached = new Set(ran.flatMap(({ outcomes }) => outcomes))
    const all = new Set([...codes, ...reasons].filter((outcome) => outcome !== 'ERR_AUTH_BRIDGE_INTERNAL'))
    expect(reached).toEqual(all)
    for (const { name, outcomes } of ran) if (reasons.includes(name)) expect(outcomes).toContain(name)
  })

  test('the output has messages, warnings and log lines', () => {
    expect(printed).toContain('AuthBridgeWarning')
    expect(printed).toContain('authjs-bridge: failed to get the session: ERR_AUTH_BRIDGE_DATABASE')
    expect(printed).toContain('password authentication failed')
    expect(printed).toContain('[stack]')
  })

  test('the output contains no part of a secret', () => {
    expect(Object.keys(searched).length).toBeGreaterThan(30)
    expect(findSecrets(printed, searched)).toEqual([])
  })
})

test('types with secrets, cookies, claims or rows are redacted in Debug', () => {
  const folder = new URL('../src/', import.meta.url)
  const files = readdirSync(folder, { encoding: 'utf8', recursive: true }).filter((file) => file.endsWith('.rs'))
  const text = files.map((file) => readFileSync(new URL(file, folder), 'utf8')).join('')
  const redacted = [...text.matchAll(/^redacted!\((.+)\);$/gm)].flatMap(([, types = '']) => types.split(', '))
  expect(redacted.sort()).toEqual([
    ...[
      'Body',
      "Change<'c>",
      'ClaimChanges',
      "Claims<'t>",
      'Columns',
      'Connection',
      'Connector',
      'ContentCipher',
      "CookieValues<'h>",
      'CreatedSession',
      'Database',
      'DatabaseUrl',
      'Deleted',
      'Deletion',
    ],
    ...[
      'FreshValue',
      'Id',
      'Identity',
      'Issue',
      'IssuedHeader',
      "IssuerOptions<'b>",
      'Key',
      'ListedSession',
      'Listener',
      'Location',
      'Lookup',
      'NewSession',
      "NewToken<'c>",
      'Opened',
      'Owner',
      'Password',
      'PendingRefresh',
      'Postgres',
      "Reading<'h>",
      'Reason',
      'Refreshed',
      'Revocation',
      'Rolled',
      'Scope',
      'SealedSession',
      'Secret',
      'Sensitive',
    ],
    ...['Session', 'SessionCache', 'SessionEnd', 'SessionExplanation', 'SessionKey', 'SessionReader', 'SessionRecord'],
    ...['SharedPostgres', 'Snapshot', 'Target', 'UserRow', 'Variable', 'Wanted'],
  ])
})

test('a panic in the addon reports its location only, from loading on', () => {
  const loading = readFileSync(new URL('../src/binding/mod.rs', import.meta.url), 'utf8')
  expect(loading).toContain('#[module_init]\nfn on_load() {\n    panics::report_location_only();\n}')
})

describe('the search finds a part of a secret', () => {
  const part = Buffer.from(SECRET.slice(5, 15))
  test.each([
    ['plain', part.toString()],
    ['percent-encoded', encodeURIComponent(`${PASSWORD}`).slice(3, 40)],
    ['percent-encoded', `%${part.toString('hex').match(/../g)?.join('%')}`],
    ['hex', part.toString('hex')],
    ['hex', part.toString('hex').toUpperCase()],
    ['a list of bytes', `[${part.join(', ')}]`],
    ['base64', Buffer.from(`a${PASSWORD}`).toString('base64')],
    ['base64', Buffer.from(`ab${SECRET}`).toString('base64')],
    ['base64url', Buffer.from(`abc${PASSWORD}?`).toString('base64url')],
  ])('%s', (spelling, text) => {
    expect(findSecrets(`before ${text} after`, SECRETS)).toContainEqual(expect.stringMatching(`, ${spelling}$`))
  })

  test('finds nothing in other text', () => {
    expect(findSecrets(`${SECRET.slice(0, 7)} ${PASSWORD.slice(-7)}`, SECRETS)).toEqual([])
  })
})
