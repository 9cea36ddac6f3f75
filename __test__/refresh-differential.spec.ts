// Compares what `refreshSession` issues with what the real Auth.js issues and reads, for generated requests of a browser. A
// failure prints the seed and the smallest failing case that fast-check finds. To run more:
// DIFFERENTIAL_CASES=20000 npx vitest run refresh-differential

import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { decode as decode5, encode as encode5 } from '@auth/core/jwt'
import fc from 'fast-check'
import { decode as decode4, encode as encode4 } from 'next-auth-4/jwt'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AuthBridge, type AuthBridgeOptions } from '../index.js'
import { CookieJar } from './support/cookie-jar.js'
import { useDatabase } from './support/database.js'
import { compact, deriveKey, seal, thumbprint } from './support/forge.js'
import { type Claims, differences, type Issuer } from './support/reference.js'
import { type App, type Reference, referencesOf } from './support/reference-handlers.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const CASES = Number(process.env.DIFFERENTIAL_CASES ?? 1000)
const SEED = Number(process.env.DIFFERENTIAL_SEED ?? Date.now() % 2 ** 31)

const DAY = 86_400
const MAX_AGE = 30 * DAY
const SECURE_ORIGIN = 'https://www.example.com'
const PLAIN_ORIGIN = 'http://www.example.com'
const PATH = '/app/api/auth/session'
const V5 = 'authjs.session-token'
const V4 = 'next-auth.session-token'
/** A block of CBC has 22 characters in base64url. */
const NEAR = 22
/** The longest value of one cookie. */
const CHUNK: Record<Issuer, number> = { authjs: 3936, 'next-auth-v4': 3933 }

interface Site extends Pick<App, 'issuer' | 'name' | 'isOwnName'> {
  origin: string
  options: AuthBridgeOptions
  variables: Record<string, string>
}

const site = (site: Partial<Site>): Site => ({
  issuer: 'authjs',
  name: V5,
  isOwnName: false,
  origin: PLAIN_ORIGIN,
  options: {},
  variables: {},
  ...site,
})
const https = { origin: SECURE_ORIGIN, variables: { AUTH_URL: SECURE_ORIGIN } }
const SITES: Record<string, Site> = {
  'next-auth 5': site({}),
  'next-auth 5, by option': site({ options: { secureCookie: false }, variables: { NODE_ENV: 'development' } }),
  'next-auth 5, secure by option': site({
    name: `__Secure-${V5}`,
    origin: SECURE_ORIGIN,
    options: { secureCookie: true },
  }),
  'next-auth 5, AUTH_URL': site({ variables: { AUTH_URL: PLAIN_ORIGIN, NODE_ENV: 'production' } }),
  'next-auth 5, secure by AUTH_URL': site({ ...https, name: `__Secure-${V5}` }),
  'next-auth 5, secure by NEXTAUTH_URL': site({
    name: `__Secure-${V5}`,
    origin: SECURE_ORIGIN,
    variables: { NEXTAUTH_URL: SECURE_ORIGIN },
  }),
  'next-auth 5, in production': site({
    name: `__Secure-${V5}`,
    origin: SECURE_ORIGIN,
    variables: { NODE_ENV: 'production' },
  }),
  'next-auth 5, a name with a port': site({
    name: `${V5}.3000`,
    isOwnName: true,
    options: { cookieName: `${V5}.3000` },
  }),
  'next-auth 5, a name of its own': site({ ...https, name: 'sid', isOwnName: true, options: { cookieName: 'sid' } }),
  'next-auth 5, __Host-': site({
    ...https,
    name: `__Host-${V5}`,
    isOwnName: true,
    options: { cookieName: `__Host-${V5}` },
  }),
  'next-auth 4': site({ issuer: 'next-auth-v4', name: V4, options: { cookieName: V4 } }),
  'next-auth 4, secure': site({
    issuer: 'next-auth-v4',
    name: `__Secure-${V4}`,
    origin: SECURE_ORIGIN,
    options: { cookieName: `__Secure-${V4}` },
    variables: { NEXTAUTH_URL: SECURE_ORIGIN, NODE_ENV: 'production' },
  }),
  'next-auth 4, a name of its own': site({
    issuer: 'next-auth-v4',
    name: 'sid',
    isOwnName: true,
    options: { cookieName: { name: 'sid', issuer: 'next-auth-v4' } },
    variables: { NEXTAUTH_URL: PLAIN_ORIGIN },
  }),
}

const [OLDEST, MIDDLE, NEWEST, OTHER] = ['the oldest', 'the middle', 'the newest', 'another'].map(
  (which) => `${which} of the secrets, which has 32 bytes`,
) as [string, string, string, string]

/** The option, or the variables. */
const SECRETS: (string[] | Record<string, string>)[] = [
  [OLDEST],
  [MIDDLE, OLDEST],
  [NEWEST, MIDDLE, OLDEST],
  { AUTH_SECRET: OLDEST },
  { NEXTAUTH_SECRET: OLDEST },
  { AUTH_SECRET: OLDEST, AUTH_SECRET_1: MIDDLE },
  { AUTH_SECRET_1: OLDEST, AUTH_SECRET_2: MIDDLE },
  { AUTH_SECRET: MIDDLE, NEXTAUTH_SECRET: OLDEST },
  { AUTH_SECRET_1: MIDDLE, NEXTAUTH_SECRET: OLDEST },
  { AUTH_SECRET: OLDEST, AUTH_SECRET_1: MIDDLE, AUTH_SECRET_2: NEWEST, AUTH_SECRET_3: OTHER },
]

const ATTRIBUTES: { given: App['attributes']; where: (site: Site) => boolean }[] = [
  { given: {}, where: () => true },
  { given: { domain: 'example.com' }, where: ({ name }) => !name.startsWith('__Host-') },
  { given: { path: '/app' }, where: ({ name }) => !name.startsWith('__Host-') },
  { given: { sameSite: 'strict' }, where: () => true },
  { given: { sameSite: 'none', secure: true }, where: ({ origin }) => origin === SECURE_ORIGIN },
  { given: { partitioned: true, secure: true }, where: ({ origin }) => origin === SECURE_ORIGIN },
]

const database = useDatabase()
const bridges = new Map<string, AuthBridge>()
/** What the database says of the session; or its token is over, or sealed with a secret that isn't configured. */
type Row = 'live' | 'revoked' | 'expired' | 'unknown' | 'over' | 'foreign'
const ENDED: Row[] = ['revoked', 'expired', 'over']
let rows: Record<Row | 'other', Claims>
beforeAll(async () => {
  const user = await createUser(database.client)
  const row = async (columns = {}) => claimsOf(user, await createSession(database.client, user, columns))
  const live = await row()
  rows = {
    ...{ live, over: live, foreign: live },
    other: await row(),
    unknown: claimsOf(user, { session_id: randomUUID(), login_method: 'credentials' }),
    revoked: await row({ revoked_at: new Date() }),
    expired: await row({ expires_at: new Date(0) }),
  }
})
afterAll(() => Promise.all([...bridges.values()].map((bridge) => bridge.close())))

const utf16 = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) })
const value = fc.oneof(fc.jsonValue(), utf16, fc.constantFrom('active', null, '', true, -0, 1e300, 1.5e-7))
const claims = fc.oneof(
  fc.dictionary(utf16, value, { noNullPrototype: true, maxKeys: 5 }),
  fc.record({
    name: value,
    picture: value,
    addons: value,
    plan: value,
    role: value,
    limits: value,
    nbf: fc.constant(1),
  }),
)

/** The plaintext of the token. Auth.js writes the first; the others it reads. */
const SPELLINGS: ((json: string) => string)[] = [
  (json) => json,
  (json) => ` \ufeff`.slice(1) + json,
  (json) => ` \n${json}\t`,
  (json) => `{"plan":"an earlier one",${json.slice(1)}`,
  (json) => `${json.slice(0, -1)},"na\\u006de":"\\u0041\\/\\ud83d","deep":{"a": [ ]} }`,
  (json) => `${json.slice(0, -1)},"n":1e999,"m":-0,"o":1.50,"big":12345678901234567890,"__proto__":{"a":1}}`,
]

/** What stands in the browser beside the session cookie `NAME`: cookies that have nothing to do with it, */
const OTHERS = ['theme=dark', 'authjs.csrf-token=x%7Cy', 'xNAME=1', 'name=', 'a="b"']
/**
 * and cookies that have. `N` is the number of its chunks, `G` is behind a gap, since what stands at `N` can't be told from a chunk.
 */
const BESIDE = [
  ...['NAME=', 'NAME=stale', 'NAME.0=', 'NAME.0=stale', 'NAME.1=stale', 'NAME.N=', 'NAME.G=stale', 'NAME.99=stale'],
  ...['NAME=OTHER', 'NAME.0=OTHER', 'NAME=OLDER', 'NAME.0=OLDER', 'NAME.100=x', 'NAME.3000=x', 'NAME.65536=x'],
  ...['NAME-x=y', 'NAMEx=y', 'NAME.x=y', 'NAME.01=x', 'NAME.=x', 'NAME.0.0=x'],
]
const beside = fc.array(fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...OTHERS) }, fc.constantFrom(...BESIDE)), {
  maxLength: 2,
})

const cases = fc.record({
  site: fc.constantFrom(...Object.keys(SITES)),
  secrets: fc.oneof(fc.constant(0), { weight: 3, arbitrary: fc.nat(SECRETS.length - 1) }),
  sealedBy: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.nat(3)),
  attributes: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.nat(ATTRIBUTES.length - 1)),
  row: fc.oneof(
    { weight: 7, arbitrary: fc.constant<Row>('live') },
    fc.constantFrom<Row>('revoked', 'expired', 'unknown', 'over', 'foreign'),
  ),
  isDue: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, fc.constant(false)),
  claims,
  spelling: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(SPELLINGS.length - 1)),
  /** The length of the new token: a chunk's more or less, times this, and so many characters. */
  size: fc.oneof(
    fc.constant(null),
    fc.record({ chunks: fc.integer({ min: 1, max: 4 }), more: fc.integer({ min: -60, max: 60 }) }),
    fc.record({ chunks: fc.constant(0), more: fc.integer({ min: 1000, max: 15_000 }) }),
  ),
  /** In characters; null for those of the issuer. */
  chunk: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, fc.integer({ min: 200, max: 3900 })),
  isReverse: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
  before: beside,
  after: beside,
  /** A cookie of the same name at another path, which goes first. */
  hasTwin: fc.oneof({ weight: 15, arbitrary: fc.constant(false) }, fc.constant(true)),
})
type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never

/** Rows of docs/differences.md, and when they explain a line that only one of the two sets. */
const DIFFERENCES: Record<string, (line: Line, request: Request) => boolean> = {
  'every read': (_, { row, isDue }) => row === 'live' && !isDue,
  'cookies of other apps': ({ name, isDeletion }, { app }) =>
    isDeletion && name.startsWith(app.name) && !isOwn(name, app.name),
  'an empty cookie': ({ name, isDeletion }, { app, cookies }) =>
    isDeletion && app.issuer === 'authjs' && cookies.some((cookie) => cookie.name === name && cookie.value === ''),
  'what can not be opened': ({ isDeletion }, { row }) => isDeletion && row === 'foreign',
  'an unknown session': ({ isDeletion }, { row }) => isDeletion && row === 'unknown',
  'ended beside what can not be judged': ({ isDeletion }, { row, isAlone }) =>
    isDeletion && ENDED.includes(row) && !isAlone,
}

interface Line {
  name: string
  isDeletion: boolean
}

type Pair = [name: string, value: string]

interface Request {
  app: App
  /** All that are configured. */
  secrets: string[]
  sealedBy: string
  /** The secret of the new token: the first of the option, or that of the old token. */
  sealsWith: string
  row: Row
  isDue: boolean
  token: string
  /** As its issuer reads them. */
  claims: Claims | null
  /** Whether the token is not spelled as Auth.js spells it. */
  isSpelled: boolean
  jar: CookieJar
  /** What the browser sends. */
  cookies: { name: string; value: string }[]
  hasTwin: boolean
  /** Whether the token is the only reading. */
  isAlone: boolean
}

const isOwn = (name: string, of: string) => name.startsWith(of) && /^(\.(0|[1-9]\d?))?$/.test(name.slice(of.length))
const now = () => Math.floor(Date.now() / 1000)
const parseLine = (line: string) => {
  const [, name = '', value = '', attributes = ''] = /^([^=]*)=([^;]*)(.*)$/s.exec(line) ?? []
  return { name, value, attributes, isDeletion: attributes.startsWith('; Max-Age=0;') }
}
const EXPIRES = /; Expires=([^;]*)/
/** Name, length of the value and attributes. The date must be that of the lifetime. */
const shapeOf = (line: string) => {
  const { name, value, attributes } = parseLine(line)
  const date = EXPIRES.exec(attributes)?.[1]
  if (date !== undefined) {
    expect(new Date(date).toUTCString()).toBe(date)
    expect(Math.abs(Date.parse(date) / 1000 - now() - MAX_AGE)).toBeLessThanOrEqual(5)
  }
  return `${name}=<${value.length}>${attributes.replace(EXPIRES, '; Expires=*')}`
}

const STAMP = ['iat', 'exp', 'jti', 'rolled_at']
/** The claims as JSON, but for those that each token has anew. */
const claimsIn = (claims: Claims | null) =>
  JSON.stringify(Object.entries(claims ?? { none: true }).filter(([name]) => !STAMP.includes(name)))

function decode(token: string, { issuer, name }: App, secret: string): Promise<Claims | null> {
  const decoded = issuer === 'authjs' ? decode5({ token, secret, salt: name }) : decode4({ token, secret })
  return decoded.catch(() => null)
}

/** As the issuer seals it; by hand if it is not spelled as the issuer spells it. */
function sealToken(plaintext: string, { issuer, name }: Site, secret: string) {
  const enc = issuer === 'authjs' ? 'A256CBC-HS512' : 'A256GCM'
  const key = deriveKey(secret, enc, issuer, name)
  const header = issuer === 'authjs' ? { alg: 'dir', enc, kid: thumbprint(key) } : { alg: 'dir', enc }
  return compact(seal(key, enc, Buffer.from(plaintext), { header }))
}

function mint(claims: Claims, { issuer, name }: Site, secret: string): Promise<string> {
  const common = { token: claims, secret, maxAge: MAX_AGE }
  return issuer === 'authjs' ? encode5({ ...common, salt: name }) : encode4(common)
}

/** Pads the claims until the new token has about the length that the case wants. */
function sized(claims: Claims, { size }: Case, { issuer }: Site): Claims {
  if (!size) return claims
  const wanted = size.chunks * CHUNK[issuer] + size.more
  // The claims of each token, and the header with its kid.
  const around = 130 + (issuer === 'authjs' ? 260 : 100)
  const missing = Math.floor((wanted - around) * 0.75) - Buffer.byteLength(JSON.stringify(claims))
  return missing > 0 ? { ...claims, padding: 'x'.repeat(missing) } : claims
}

/** The bridge of a site. Reads the variables that are set. */
async function bridgeOf({ site, secrets, attributes }: Pick<Case, 'site' | 'secrets' | 'attributes'>) {
  const key = JSON.stringify([site, secrets, attributes])
  const known = bridges.get(key)
  if (known) return known
  const secret = SECRETS[secrets]
  const bridge = new AuthBridge({
    databaseUrl: database.url,
    maxAge: MAX_AGE,
    ...(Array.isArray(secret) && { secret }),
    ...SITES[site]?.options,
    // The first are the defaults.
    ...(attributes > 0 && { cookie: ATTRIBUTES[attributes]?.given }),
  })
  bridges.set(key, bridge)
  await bridge.getSession('')
  return bridge
}

async function withVariables<T>(variables: Record<string, string>, run: () => Promise<T>) {
  Object.assign(process.env, variables)
  try {
    return await run()
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name]
  }
}

const count: Record<string, number> = {}
function tally(what: string) {
  count[what] = (count[what] ?? 0) + 1
}

test(`${CASES} new tokens are read by the issuer, and set in its lines except for documented differences`, {
  timeout: 20_000 + CASES * 40,
}, async () => {
  const property = fc.asyncProperty(cases, async (generated) => {
    const site = SITES[generated.site]
    if (!site) throw new Error('no site')
    // Attributes and rotation have nothing to do with each other, and fewer bridges are faster.
    const isFit = generated.secrets === 0 && ATTRIBUTES[generated.attributes]?.where(site)
    const wanted = { ...generated, attributes: isFit ? generated.attributes : 0 }
    const secrets = SECRETS[wanted.secrets] ?? []
    const variables = Array.isArray(secrets) ? {} : secrets
    await withVariables({ ...site.variables, ...variables }, async () =>
      check(await requestOf(wanted, site), await bridgeOf(wanted)),
    )
  })
  await fc.assert(property, { numRuns: CASES, seed: SEED })
  console.log(`seed ${SEED}:`, Object.fromEntries(Object.entries(count).sort()))
  const lengths = ['whole', '2 chunks', '3 chunks', '4 chunks', 'just over a border', 'just within a border']
  for (const name of [...Object.keys(SITES), ...Object.keys(DIFFERENCES), ...ENDED, ...lengths]) {
    expect(count[name] ?? 0, name).toBeGreaterThan(0)
  }
})

/** What a browser has and sends, and which app it is for. */
async function requestOf(wanted: Case, site: Site): Promise<Request> {
  const { row, isDue } = wanted
  const { issuer, name, origin, isOwnName } = site
  const configured = SECRETS[wanted.secrets] ?? []
  const secrets = Object.values(configured)
  const sealedBy = row === 'foreign' ? 'a foreign secret' : (secrets[wanted.sealedBy % secrets.length] ?? '')
  const attributes = ATTRIBUTES[wanted.attributes]?.given ?? {}
  const option = Array.isArray(configured) && { secrets: configured }
  const app: App = { issuer, name, isOwnName, url: origin + PATH, maxAge: MAX_AGE, attributes, ...option }

  const { rolled_at, exp, iat, ...own } = wanted.claims as Claims
  const claims = sized({ ...own, ...rows[row], ...(!isDue && { rolled_at: now() }) }, wanted, site)
  const isSpelled = wanted.spelling > 0 || row === 'over'
  const times = { iat: now(), exp: now() + MAX_AGE, jti: '0b8f6d4e-0000-4000-8000-000000000001' }
  const over = row === 'over' && { exp: now() - 60 }
  const spelled = SPELLINGS[wanted.spelling]?.(JSON.stringify({ ...claims, ...times, ...over })) ?? ''
  const token = isSpelled ? sealToken(spelled, site, sealedBy) : await mint(claims, site, sealedBy)
  const olderOf = (row: Claims) =>
    sealToken(JSON.stringify({ ...row, ...times, iat: now() - 60 }), site, secrets[0] ?? '')

  const longest = wanted.chunk ?? CHUNK[issuer]
  const values = token.length <= longest ? [token] : (token.match(new RegExp(`.{1,${longest}}`, 'g')) ?? [])
  const isWhole = values.length === 1
  const session = values.map((value, index): Pair => [isWhole ? name : `${name}.${index}`, value])
  if (wanted.isReverse) session.reverse()
  const end = isWhole ? 0 : values.length
  const filled = (text: string): Pair => {
    const [cookie = '', value = ''] = text.split(/=(.*)/s)
    const place = cookie
      .replace('.N', `.${end}`)
      .replace('.G', `.${end + 2}`)
      .replace('NAME', name)
    return [place, value === 'OTHER' ? olderOf(rows.other) : value === 'OLDER' ? olderOf(rows[row]) : value]
  }
  const isFree = ([cookie]: Pair) => !session.some(([taken]) => taken === cookie)
  const [before, after] = [wanted.before, wanted.after].map((texts) => texts.map(filled).filter(isFree))

  const jar = new CookieJar()
  const where = `${attributes.domain ? `; Domain=${attributes.domain}` : ''}; Path=${attributes.path ?? '/'}`
  const secure = origin === SECURE_ORIGIN ? '; Secure' : ''
  for (const [cookie, value] of [...(before ?? []), ...session, ...(after ?? [])]) {
    jar.set(`${cookie}=${value}${isOwn(cookie, name) ? where : '; Path=/'}${secure}`, app.url)
  }
  const hasTwin = wanted.hasTwin && !name.startsWith('__Host-')
  if (hasTwin) jar.set(`${name}=stale; Path=/app/api${secure}`, app.url)
  const cookies = jar.cookies(app.url)
  const isAlone = cookies.filter((cookie) => isOwn(cookie.name, name)).length === session.length
  const read = await decode(token, app, sealedBy)
  const sealsWith = app.secrets?.[0] ?? sealedBy
  tally(wanted.site)
  return {
    app,
    secrets,
    sealedBy,
    sealsWith,
    row,
    isDue,
    token,
    claims: read,
    isSpelled,
    jar,
    cookies,
    hasTwin,
    isAlone,
  }
}

async function check(request: Request, bridge: AuthBridge) {
  const { app, row, isDue, jar, cookies, hasTwin, isAlone, sealsWith } = request
  const { name, url } = app
  const header = jar.header(url)
  const result = await bridge.refreshSession(header)
  for (const line of result.setCookie) expect(jar.set(line, url), line).toBe(true)

  // What the browser keeps. No line reaches the twin, which goes first.
  const kept = jar.cookies(url)
  const others = (list: typeof kept) => list.slice(hasTwin ? 1 : 0).filter((cookie) => !isOwn(cookie.name, name))
  const own = kept.slice(hasTwin ? 1 : 0).filter((cookie) => isOwn(cookie.name, name))
  expect(others(kept)).toEqual(others(cookies))
  const sorted = (header: string) => header.split('; ').sort()
  if (!hasTwin) expect(sorted(result.cookieHeader)).toEqual(sorted(jar.header(url)))
  expect(await bridge.getSession(jar.header(url))).toEqual(result.session)
  expect(await bridge.getSession(result.cookieHeader)).toEqual(result.session)

  const references = referencesOf(app)
  const expectSameLines = async (issued?: Issued) => {
    for (const [, reference] of references) await compareLines(reference, header, result.setCookie, request, issued)
  }
  if (row !== 'live') {
    if (result.session.session_id) return tally('another session lives')
    if (!ENDED.includes(row)) expect(kept).toEqual(cookies)
    else if (isAlone) expect(own).toEqual([])
    tally(row)
    return expectSameLines()
  }
  expect(result.session.session_id).toBe(rows.live.session_id)
  if (!isDue) {
    expect(result.setCookie).toEqual([])
    return expectSameLines()
  }
  const chunks = own.toSorted((one, other) => one.name.localeCompare(other.name, 'en', { numeric: true }))
  const token = chunks.map(({ value }) => value).join('')
  const isWhole = chunks.length === 1
  tally(isWhole ? 'whole' : `${chunks.length} chunks`)
  const behind = token.length % CHUNK[app.issuer]
  if (behind <= NEAR) tally('just over a border')
  if (behind >= CHUNK[app.issuer] - NEAR) tally('just within a border')
  expect(chunks.map((chunk) => chunk.name)).toEqual(isWhole ? [name] : chunks.map((_, index) => `${name}.${index}`))

  // Its claims.
  const { claims } = request
  expect(claims).not.toBeNull()
  const issued = await decode(token, app, sealsWith)
  expect(claimsIn(issued)).toBe(claimsIn(claims))
  expect(issued).toMatchObject({ iat: issued?.rolled_at, exp: Number(issued?.iat) + MAX_AGE })
  expect(issued?.jti).not.toBe(claims?.jti)
  const readable = kept.filter((cookie) => isOwn(cookie.name, name) || !cookie.name.startsWith(name))
  for (const [who, { secrets, serve }] of hasTwin ? [] : references) {
    // With the same variables, each knows other secrets; but who could read the old token can read the new one.
    if (!app.secrets && !secrets.includes(request.sealedBy)) continue
    const { read } = await serve(readable.map((cookie) => `${cookie.name}=${cookie.value}`).join('; '))
    expect(claimsIn(read), `${who} reads`).toBe(claimsIn(claims))
    tally(`read by ${who}`)
  }
  return expectSameLines({ token, rolled_at: issued?.rolled_at })
}

/** A new token, and the claim that it has beside those of the old. */
interface Issued {
  token: string
  rolled_at: unknown
}

/** Compares the lines with those of the issuer for the same request. */
async function compareLines(reference: Reference, header: string, ours: string[], request: Request, issued?: Issued) {
  const { app, secrets, row, claims, isSpelled } = request
  const { read, setCookie } = await reference.serve(header, {
    // Or else what it can't read, it deletes.
    ...(claims && row !== 'foreign' && { claims }),
    jwt: (token) => (row === 'live' ? { ...token, ...(issued && { rolled_at: issued.rolled_at }) } : null),
    token(theirs) {
      // Spelled in another way, the claims have another length.
      if (issued && isSpelled) return issued.token
      if (issued) expect(theirs).toHaveLength(issued.token.length)
      return theirs
    },
  })
  if (issued && claimsIn(read) !== claimsIn(claims)) {
    const isKnown = reference.secrets.includes(request.sealedBy)
    if (isKnown) expect(differences(header, { ...app, secrets }, read), 'read in another way').not.toEqual([])
    tally('misread by the reference')
  }
  const [own, theirs] = [ours.map(shapeOf), setCookie.map(shapeOf)]
  const isCommon = (line: string) => own.includes(line) && theirs.includes(line)
  for (const line of [...own, ...theirs].filter((line) => !isCommon(line))) {
    const rows = Object.keys(DIFFERENCES).filter((row) => DIFFERENCES[row]?.(parseLine(line), request))
    expect(rows, `an undocumented difference: ${line}\n${header.slice(0, 300)}`).not.toEqual([])
    for (const row of rows) tally(row)
  }
  const common = [own, theirs].map((lines) => lines.filter(isCommon))
  // Here, a new cookie takes the place of an empty one.
  const hasEmpty = request.cookies.some(({ name, value }) => isOwn(name, app.name) && value === '')
  if (hasEmpty && app.issuer === 'authjs') for (const lines of common) lines.sort()
  expect(common[0]).toEqual(common[1])
}

test.each(SECRETS.map((secrets) => [Object.keys(secrets).join(), secrets] as const))(
  'a session that moves from next-auth 4 is read by next-auth 5, secrets %s',
  (_, secrets) => {
    const variables = Array.isArray(secrets) ? {} : secrets
    return withVariables(variables, async () => {
      const option = Array.isArray(secrets) ? { secret: secrets } : {}
      const cookieName = [V5, V4]
      const bridge = new AuthBridge({ databaseUrl: database.url, cookieName, migrateCookies: true, ...option })
      try {
        const [secret = ''] = Object.values(secrets)
        const v4 = `${V4}=${await encode4({ token: rows.live, secret })}`
        const { cookieHeader } = await bridge.refreshSession(v4)
        const app = { issuer: 'authjs', name: V5, url: PLAIN_ORIGIN + PATH, isOwnName: false } as const
        const more = { maxAge: MAX_AGE, attributes: {}, ...(Array.isArray(secrets) && { secrets }) }
        const references = new Map(referencesOf({ ...app, ...more }))
        const answer = await references.get('next-auth 5')?.serve(cookieHeader)
        expect(claimsIn(answer?.read ?? null)).toBe(claimsIn(rows.live))
      } finally {
        await bridge.close()
      }
    })
  },
)

test('`Secure` in production', async () => {
  const attributesOf = (line = '') => shapeOf(line).split('; ').slice(1)
  await withVariables({ NODE_ENV: 'production' }, async () => {
    const bridge = new AuthBridge({
      ...{ databaseUrl: database.url, secret: OLDEST, secureCookie: false, maxAge: MAX_AGE },
    })
    try {
      const header = `${V5}=${await mint(rows.live, site({}), OLDEST)}`
      const ours = attributesOf((await bridge.refreshSession(header)).setCookie[0])
      const more = { maxAge: MAX_AGE, attributes: {}, isOwnName: false, secrets: [OLDEST] }
      const references = referencesOf({ issuer: 'authjs', name: V5, url: PLAIN_ORIGIN + PATH, ...more })
      const theirs = attributesOf((await references[0]?.[1].serve(header))?.setCookie[0])
      expect(theirs).not.toContain('Secure')
      expect(ours.filter((attribute) => attribute !== 'Secure')).toEqual(theirs)
      expect(ours).toContain('Secure')
    } finally {
      await bridge.close()
    }
  })
})

test('every row of the page about what is written has a test here', () => {
  const page = readFileSync(new URL('../docs/differences.md', import.meta.url), 'utf8')
  const [, written = ''] = page.split('## What is written')
  const documented = [...written.matchAll(/^\| ([^|]+?) \|/gm)].map(([, row]) => row).slice(2)
  // The first is what `sealsWith` says.
  const others = ['secrets of variables', '`Secure` in production']
  expect(new Set([...Object.keys(DIFFERENCES), ...others])).toEqual(new Set(documented))
})
