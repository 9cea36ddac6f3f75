// Compares this package with the reference implementations for generated requests. A failure prints the seed and the smallest
// failing request that fast-check finds. To run more: DIFFERENTIAL_CASES=100000 npx vitest run differential

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AuthBridge, type AuthBridgeOptions } from '../index.js'
import { useDatabase } from './support/database.js'
import { compact, deriveKey, type Enc, seal, thumbprint } from './support/forge.js'
import {
  bodyOf,
  type Claims,
  differences,
  type Form,
  type Issuer,
  readAsDocumented,
  readByReference,
} from './support/reference.js'
import { claimsOf, createSession, createTables, createUser } from './support/tenants.mjs'

const CASES = Number(process.env.DIFFERENTIAL_CASES ?? 5000)
const SEED = Number(process.env.DIFFERENTIAL_SEED ?? Date.now() % 2 ** 31)
const SECRETS = ['the newest of the secrets', 'the middle of the secrets', 'the oldest of the secrets', 'a foreign one']
const NAMES: Record<Issuer, string> = { authjs: 'authjs.session-token', 'next-auth-v4': 'next-auth.session-token' }

/** The documented app, one with claims of its own and fresh ones, and one with a single tenant and texts as ids. */
const FORMS: Record<string, Form & Pick<AuthBridgeOptions, 'tables'>> = {
  documented: {},
  own: {
    options: { userCheck: 'exists', extraClaims: ['role', 'limits'], expires: true },
    fresh: { plan: 'fresh "plan"', addons: ['a'], image: null, role: { of: ['the', 'row', null] } },
    tables: { users: 'fresh_users' },
  },
  single: {
    options: { multiTenant: false, userCheck: 'none', extraClaims: ['limits', 'role'], expires: true },
    textIds: true,
    tables: { sessions: 'single.sessions' },
  },
}
const formNames = Object.keys(FORMS)

const database = useDatabase(async (client) => {
  await createTables(client)
  await client.query(`
    CREATE VIEW fresh_users AS
    SELECT *, 'fresh "plan"'::text AS plan, '["a"]'::jsonb AS addons, NULL::text AS image,
      '{"of": ["the", "row", null]}'::jsonb AS role FROM users;
    CREATE SCHEMA single;
    CREATE VIEW single.sessions AS
    SELECT session_id::text, user_id::text, expires_at, revoked_at, revoked_reason FROM sessions`)
})
const bridges: Record<Issuer, AuthBridge[][]> = { authjs: [], 'next-auth-v4': [] }
let required: Claims
beforeAll(async () => {
  const user = await createUser(database.client)
  required = claimsOf(user, await createSession(database.client, user))
  for (const issuer of ['authjs', 'next-auth-v4'] as const) {
    const common = { databaseUrl: database.url, cookieName: NAMES[issuer] }
    bridges[issuer] = [1, 2, 3].map((count) =>
      Object.values(FORMS).map(({ options, fresh, tables }) => {
        const own = { ...(fresh && { freshClaims: Object.keys(fresh) }), ...(tables && { tables }) }
        return new AuthBridge({ secret: SECRETS.slice(0, count), ...common, ...options, ...own })
      }),
    )
  }
})
afterAll(() =>
  Promise.all(
    Object.values(bridges)
      .flat(2)
      .map((bridge) => bridge.close()),
  ),
)

const utf16 = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) })
const value = fc.oneof(fc.jsonValue(), utf16, fc.uuid(), fc.constantFrom('active', null, '', true))
const known = [
  ...['email', 'name', 'image', 'picture', 'plan', 'clientId', 'addons', 'trial_end', 'subscription_status'],
  ...['role', 'limits'],
]
const claims = fc.oneof(
  fc.record(Object.fromEntries(known.map((name) => [name, value])), { requiredKeys: [] }),
  fc.dictionary(utf16, value, { noNullPrototype: true, maxKeys: 4 }),
  fc.record({ id: value, sub: value, user_type: value }, { requiredKeys: [] }),
  // Tokens that are too long for one cookie.
  fc.record({ plan: fc.string({ minLength: 3000, maxLength: 12_000, unit: 'grapheme-ascii' }) }),
)

/** `exp`, `nbf` and `iat`, in seconds from now; -17 is beyond the tolerance. `vectors/clock.json` tests its edges, with a fixed clock. */
const offset = fc.constantFrom(-1e12, -3600, -60, -17, -10, 0, 10, 60, 3600, 1e12, 0.5, -10.25)
const odd = fc.constantFrom<unknown>(null, '1', '9999999999', true, [], {}, 1e300, -1, 0)
const relative = offset.map((seconds) => Math.floor(Date.now() / 1000) + seconds)
const times = fc.record(
  {
    exp: fc.oneof({ weight: 8, arbitrary: fc.constant(4_102_444_800) }, relative, odd),
    nbf: fc.oneof(relative, odd),
    iat: fc.oneof({ weight: 3, arbitrary: relative }, odd),
  },
  { requiredKeys: [] },
)
const exp = { exp: 4_102_444_800 }
const valid = fc.oneof({ weight: 5, arbitrary: fc.constant<Claims>(exp) }, times)

const plaintext = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.tuple(claims, valid).map(([more, times]) => JSON.stringify({ ...required, ...more, ...times })),
  },
  fc
    .constantFrom(
      (json: string) => `\ufeff${json}`,
      (json: string) => ` \n\t${json}\r\n`,
      (json: string) => `${json} x`,
      (json: string) => json.slice(0, -1),
      (json: string) => `[${json}]`,
      (json: string) => JSON.stringify(json),
      (json: string) => `{"exp":1,${json.slice(1)}`,
      (json: string) => `{"a\nb":1,${json.slice(1)}`,
      (json: string) => `{"a\\nb":1,${json.slice(1)}`,
      (json: string) => `{"\\u0065xp":1,${json.slice(1)}`,
      (json: string) => `${json.slice(0, -1)},"exp":1}`,
      (json: string) => `${json.slice(0, -1)},"tenant":"x"}`,
      (json: string) => `${json.slice(0, -1)},"deep":${'['.repeat(2000)}${']'.repeat(2000)}}`,
      (json: string) => `${json.slice(0, -1)},"n":1e999,"m":-0,"name":"\\u0041\\/"}`,
      (json: string) => `${json.slice(0, -1)},"exp":1e999}`,
      () => 'null',
      () => '',
    )
    .map((change) => change(JSON.stringify({ ...required, ...exp }))),
)
const bytes = fc.oneof(
  { weight: 15, arbitrary: plaintext.map((text) => Buffer.from(text)) },
  fc.constant(null).map(() => Buffer.from(JSON.stringify({ ...required, ...exp, name: '\xff' }), 'latin1')),
)

/** Fields of the protected header that are added to `alg`, `enc` and `kid` or replace them. */
const header = fc.oneof(
  { weight: 8, arbitrary: fc.constant({}) },
  fc.constantFrom<object>(
    { kid: undefined },
    { kid: undefined },
    { typ: 'JWT' },
    { typ: 1 },
    { x: { y: [1] }, cty: 'text/plain' },
    { kid: 'other' },
    { kid: '' },
    { kid: null },
    { kid: 1 },
    { alg: 'A256KW' },
    { alg: 'none' },
    { alg: undefined },
    { alg: null },
    { enc: undefined },
    { enc: 'A128GCM' },
    { enc: 'A256GCM' },
    { enc: 'A256CBC-HS512' },
    { enc: 1 },
    { crit: [] },
    { crit: ['exp'], exp: 1 },
    { zip: 'DEF' },
    { zip: 1 },
    { iss: 'a' },
    { sub: 'someone else' },
    { aud: ['a'] },
    { x: 'x'.repeat(2000) },
  ),
)

/** Changes one part of the finished token. */
const damage = fc.oneof(
  { weight: 10, arbitrary: fc.constant((token: string) => token) },
  fc
    .record({
      part: fc.nat(4),
      place: fc.double({ min: 0, max: 0.999, noNaN: true }),
      by: fc.constantFrom<(part: string, at: number) => string>(
        (part, at) => part.slice(0, at) + (part[at] === 'A' ? 'B' : 'A') + part.slice(at + 1),
        (part, at) => part.slice(0, at),
        (part, at) => part.slice(at),
        (part) => `${part}A`,
        (part) => `${part}=`,
        (part) => `${part}==`,
        (part, at) => `${part.slice(0, at)} ${part.slice(at)}`,
        (part) => part.replaceAll('-', '+').replaceAll('_', '/'),
        (part) => part.slice(0, -1) + String.fromCharCode((part.charCodeAt(part.length - 1) || 64) + 1),
        (part) => `${part}.${part}`,
        () => '',
      ),
    })
    .map(({ part, place, by }) => (token: string) => {
      const parts = token.split('.')
      const chosen = parts[part] ?? ''
      parts[part] = by(chosen, Math.floor(place * chosen.length))
      return parts.join('.')
    }),
  fc.constant((token: string) => token.split('.').slice(0, 4).join('.')),
  fc.nat(4).map((part) => (token: string, other: string) => {
    const parts = token.split('.')
    parts[part] = other.split('.')[part] ?? ''
    return parts.join('.')
  }),
)

/** How the token is sent in the header. `chunk` is the size of the chunks in characters; 0 sends a whole cookie. */
const transport = fc.record({
  chunk: fc.oneof(fc.constant(0), fc.integer({ min: 40, max: 4000 })),
  reverse: fc.boolean(),
  percent: fc.oneof({ weight: 6, arbitrary: fc.constant('') }, fc.constantFrom('.', 'e', '-')),
  quote: fc.oneof({ weight: 9, arbitrary: fc.constant('') }, fc.constant('"')),
  separator: fc.constantFrom('; ', ';', ' ;\t', ';;'),
  before: fc.array(extraCookie(), { maxLength: 2 }),
  after: fc.array(extraCookie(), { maxLength: 2 }),
})
function extraCookie() {
  const names = ['a', 'NAME', 'NAMEx', 'NAME-x', 'NAME.x', 'NAME.3000', 'NAME.00', 'NAME.0', 'NAME.1', 'xNAME', 'name']
  const name = fc.oneof({ weight: 8, arbitrary: fc.constantFrom('a', 'b', 'theme') }, fc.constantFrom(...names))
  return fc.tuple(name, fc.constantFrom('', 'x', 'a.b.c.d.e', '"x"', '%', '%41')).map((pair) => pair.join('='))
}

function put(token: string, name: string, { chunk, reverse, percent, quote, separator, before, after }: Transport) {
  const chunks = chunk === 0 ? [token] : (token.match(new RegExp(`.{1,${chunk}}`, 'gs')) ?? [''])
  const encode = (part: string) =>
    percent === '' ? part : part.replaceAll(percent, `%${percent.charCodeAt(0).toString(16)}`)
  const cookies = chunks.map(
    (part, index) => `${name}${chunk === 0 ? '' : `.${index}`}=${quote}${encode(part)}${quote}`,
  )
  if (reverse) cookies.reverse()
  return [...before, ...cookies, ...after].map((cookie) => cookie.replace('NAME', name)).join(separator)
}
type Transport = typeof transport extends fc.Arbitrary<infer T> ? T : never

interface Case {
  issuer: Issuer
  form: number
  enc: Enc
  secrets: number
  sealedBy: number
  bytes: Buffer
  header: object
  damage: (token: string, other: string) => string
  transport: Transport
}

const requests: fc.Arbitrary<Case> = fc.record({
  issuer: fc.constantFrom<Issuer>('authjs', 'authjs', 'next-auth-v4'),
  form: fc.nat(formNames.length - 1),
  enc: fc.constantFrom<Enc>('A256CBC-HS512', 'A256GCM'),
  secrets: fc.integer({ min: 1, max: 3 }),
  sealedBy: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat(3)),
  bytes: fc.constant(null).chain(() => bytes),
  header,
  damage,
  transport,
})

function cookieHeader({ issuer, enc, sealedBy, bytes, header, damage, transport }: Case) {
  const used = issuer === 'authjs' ? enc : 'A256GCM'
  const key = deriveKey(SECRETS[sealedBy] ?? '', used, issuer)
  const usual = issuer === 'authjs' ? { alg: 'dir', enc: used, kid: thumbprint(key) } : { alg: 'dir', enc: used }
  // next-auth 4 replaces invalid UTF-8; see docs/differences.md.
  const plaintext = issuer === 'authjs' ? bytes : Buffer.from(bytes.toString())
  const token = compact(seal(key, used, plaintext, { header: { ...usual, ...header } }))
  const other = compact(seal(key, used, Buffer.from('{}'), { header: usual }))
  return put(damage(token, other), NAMES[issuer], transport)
}

describe('against @auth/core and next-auth 4', () => {
  test(`${CASES} requests have the documented result, the reference's except for documented differences, and an explanation that agrees`, {
    timeout: 10_000 + CASES * 20,
  }, async () => {
    const count = { authenticated: 0, unauthenticated: 0 }
    const different = new Map<string, number>()
    const reasons = new Set<string | undefined>()
    const property = fc.asyncProperty(requests, async (request) => {
      const { issuer } = request
      const form = FORMS[formNames[request.form] ?? ''] ?? {}
      const header = cookieHeader(request)
      const setup = { issuer, name: NAMES[issuer], secrets: SECRETS.slice(0, request.secrets) }
      const bridge = bridges[issuer][request.secrets - 1]?.[request.form]
      const [answer, text, explanation, documented, reference] = await Promise.all([
        bridge?.getSession(header),
        bridge?.getSessionJson(header),
        bridge?.explainSession(header),
        readAsDocumented(header, setup, form),
        readByReference(header, setup),
      ])
      // Only one session exists, so claims with other ids have no session.
      const body = documented ? bodyOf(documented, form) : {}
      const expected = isLive(documented, form) ? body : {}
      expect(answer, header.slice(0, 200)).toEqual(expected)
      expect(JSON.parse(text ?? ''), header.slice(0, 200)).toEqual(answer)
      const status = Object.keys(expected).length > 0 ? 'authenticated' : 'unauthenticated'
      expect(explanation?.status, header.slice(0, 200)).toBe(status)
      count[status]++
      reasons.add(explanation?.reason)
      if (JSON.stringify(reference ? bodyOf(reference, form) : {}) === JSON.stringify(body)) return
      const rows = differences(header, setup, reference)
      expect(rows, `undocumented: ${header.slice(0, 200)}`).not.toEqual([])
      for (const row of rows) different.set(row, (different.get(row) ?? 0) + 1)
    })
    await fc.assert(property, { numRuns: CASES, seed: SEED })
    console.log(`seed ${SEED}:`, count, 'different from the reference:', different)
    console.log('reasons:', [...reasons].join(', '))
    expect(reasons.size).toBeGreaterThan(8)
    expect(count.authenticated).toBeGreaterThan(CASES / 10)
    expect(count.unauthenticated).toBeGreaterThan(CASES / 10)
  })
})

function isLive(claims: Claims | null, { options = {} }: Form) {
  if (!claims) return false
  const id = claims.id ?? claims.sub
  const { multiTenant = true, userCheck = 'type' } = options
  const compared = ['session_id', ...(multiTenant ? ['tenant'] : []), ...(userCheck === 'type' ? ['user_type'] : [])]
  const same = compared.every((name) => claims[name] === required[name])
  return same && id === required.id
}
