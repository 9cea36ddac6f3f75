// Makes the seeds of the fuzz targets, from the vectors in __test__ and a few database URLs.

import { createHash, hkdfSync } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { compactDecrypt } from 'jose'

const VECTORS = fileURLToPath(new URL('../__test__/vectors', import.meta.url))

/** All claims that the package reads. */
const CLAIMS = {
  exp: 1_800_000_060,
  nbf: 1_800_000_000,
  iat: 1_799_999_999.5,
  session_id: '0b8f6d4e-0000-4000-8000-000000000003',
  tenant: '0b8f6d4e-0000-4000-8000-000000000002',
  sub: '0b8f6d4e-0000-4000-8000-000000000001',
  user_type: 'client',
  login_method: 'azure-ad',
  email: 'grace@example.com',
  name: 'Gr\u{e4}ce "\u{1f600}" \\ \n',
  username: 'grace',
  picture: 'https://example.com/grace.png',
  proToken: 'p',
  tenantSlug: 'acme',
  plan: 'pro',
  clientId: '0b8f6d4e-0000-4000-8000-000000000007',
  contactId: '0B8F6D4E-0000-4000-8000-000000000008',
  addons: ['backup', 'sso'],
  trial_end: '2027-01-15',
  solo_pro_trial_end: null,
  premium_trial_end: '2027-01-15T08:00:00Z',
  premium_trial_effective_date: '2027-01-01',
  premium_trial_confirmed: true,
  subscription_status: 'past_due',
  role: 'admin',
  limits: { seats: [3, { 'a b': 'c\n"' }], none: null },
}

/** The claims of an app with other ids, and no tenants. */
const OTHER_IDS = { ...CLAIMS, session_id: 17, sub: 'clh3k2jd50000qzrm3v1x9d0f', tenant: undefined }

/** Few claims, so that mutations change the ids. @type {Record<Column, string>} */
const FEW_CLAIMS = {
  uuid: `{"exp":1800000060,"session_id":"${CLAIMS.session_id}","tenant":"${CLAIMS.tenant}","id":"${CLAIMS.sub}","user_type":"client"}`,
  integer: '{"exp":1800000060,"session_id":17,"tenant":-1,"id":"18","user_type":"client"}',
  text: '{"exp":1800000060,"session_id":"s-17","tenant":7.5,"sub":"\u0075","user_type":"client"}',
}

/** What the columns of the fresh claims have; the first is for null in all. */
const FRESH = [
  '',
  '{"login_method":"saml","email":"e","name":null,"image":null,"plan":"team","addons":["x"],"trial_end":"2027-01-15T08:00:00.000Z","premium_trial_confirmed":false,"subscription_status":"unpaid","user_type":"internal","role":null,"limits":{ "seats" : [1] }}',
]

/** Encoded {@link setup}s. The second and the third go with {@link OTHER_IDS}. */
const [SIMPLE, ALL, NO_USERS] = [
  setup({ tenant: 'uuid', sessionId: 'uuid', userId: 'uuid', userCheck: 'type', extra: 0, fresh: 0, expires: 0 }),
  setup({ sessionId: 'integer', userId: 'text', userCheck: 'exists', extra: 0xff, fresh: 0xffff, expires: 1 }),
  setup({ sessionId: 'text', userId: 'text', userCheck: 'none', extra: 0xff, fresh: 0, expires: 1 }),
]

const DATABASE_URLS = [
  'postgres://u:p@h/d',
  'postgresql://owner:x%40y@db.example:5433/app?sslmode=require&channel_binding=require',
  'postgres://u:p@a:1,b,[2001:db8::1]:3/d?target_session_attrs=read-write&load_balance_hosts=random',
  'postgres://u:p@h/d?pgbouncer=true&connection_limit=5&schema=app&connect_timeout=3&sslaccept=accept_invalid_certs',
  'postgres://u@/d?host=/run/pg,b&port=6000,6001&password=p&application_name=a&options=-c%20a%3Db',
  'postgres://?hostaddr=10.0.0.1&dbname=d&keepalives=0&tcp_user_timeout=5&statement_cache_size=0&ssl=prefer',
]

/** A cookie `sid` beside its chunks and others of similar names. */
const CROWDED_HEADERS = [
  '',
  'theme=dark; sid=old',
  'sid.1=b; sid.0=a; sid.99=c; sid.100=d; sid.01=e; sidx=f; sid-x; ;sid',
  'sid=; sid =\told ; sid.3000=x; sid.3000.0=y; __Secure-authjs.session-token.0=z',
]

/** Changes of an app. */
const CHANGES = [
  '',
  '{}',
  '{"plan":"team","role":null,"more":{ "a": [1] }}',
  '{"\\u0065xp":1}',
  '{"\\ud83d":null}',
  '{"role":1,"role":null}',
]

/** Plaintexts with names that are spelled in several ways. */
const SPELLED = [
  '{"exp":1,"a":"b","iat":2,"jti":"x","rolled_at":3}',
  '\ufeff{ "a" : 1.50e3, "\\u0061":[1,  2], "\\ud83d":1, "\\uD83D":null, "\\ud83d\\ude00":2, "\u{1f600}":3 }',
]

/** At the limit of 32 KiB for a token, which mutations hardly ever reach. Few cookies, since many would slow down the runs. */
const LARGE_HEADERS = [`sid=${'x'.repeat(32_768)}`, `sid.0=${'x'.repeat(32_768)}; sid.1=y; sid=z`]

/**
 * Writes the seeds to a subfolder for each target.
 *
 * @param {string} folder
 */
export async function makeSeeds(folder) {
  const vectors = readdirSync(VECTORS)
    .filter((file) => file.endsWith('.json'))
    .flatMap(vectorsOf)
  // Claims that take precedence over others, together with those.
  const preferred = { id: CLAIMS.sub, image: 'https://example.com/hopper.png' }
  const plaintexts = [CLAIMS, { ...CLAIMS, ...preferred }].map((claims) => JSON.stringify(claims))
  for (const vector of vectors) plaintexts.push(...(await plaintextsOf(vector)))

  write(`${folder}/cookie_header`, [...vectors.map(({ header }) => header), ...LARGE_HEADERS])
  const others = JSON.stringify(OTHER_IDS)
  const cases = [
    ...plaintexts.map((plaintext) => ({ options: SIMPLE, fresh: '', plaintext })),
    ...FRESH.map((fresh) => ({ options: ALL, fresh, plaintext: others })),
    { options: NO_USERS, fresh: '', plaintext: others },
    ...Object.entries(FEW_CLAIMS).map(([name, plaintext]) => {
      const column = /** @type {Column} */ (name)
      const ids = { tenant: column, sessionId: column, userId: column }
      return { options: setup({ ...ids, userCheck: 'type', extra: 0, fresh: 0, expires: 0 }), fresh: '', plaintext }
    }),
  ]
  write(
    `${folder}/claims_to_body`,
    cases.map(({ options, fresh, plaintext }) => [...options, ...Buffer.from(`${fresh}\n${plaintext}`)]),
  )
  write(`${folder}/compact_token`, [
    ...vectors.map((vector) => [...variant(0, 4), ...variant(0, 4), ...Buffer.from(tokenOf(vector))]),
    ...plaintexts.map((plaintext) => [...variant(1, 4), ...variant(0, 4), ...recipe(), ...Buffer.from(plaintext)]),
    ...headers().map((header) => [...variant(2, 4), ...seal(), ...Buffer.from(header)]),
  ])
  write(
    `${folder}/database_url`,
    DATABASE_URLS.map((url) => [...variant(0, 3), ...Buffer.from(url)]),
  )
  write(
    `${folder}/set_cookie`,
    CROWDED_HEADERS.flatMap((header) =>
      [[], [8, 0, 3936], [1, 100, 100], [7, 0, 20]].map((token) => setCookie(token, header)),
    ),
  )
  write(
    `${folder}/next_claims`,
    [...plaintexts, ...SPELLED].flatMap((plaintext, index) => {
      const seal = [
        ...variant(index % 4, 4),
        index % 2,
        ...(index % 3 === 0 ? [0] : [1, ...numbers(8, 1_800_000_000, 1_800_000_060)]),
      ]
      return CHANGES.map((changes) => [...seal, ...Buffer.from(`${changes}\n${plaintext}`)])
    }),
  )
  write(`${folder}/pipeline`, [
    ...cases.map(({ options, fresh, plaintext }) => request(options, `theme=dark\n${fresh}\n${plaintext}`)),
    ...vectors.map(({ header }) => request(SIMPLE, `${header}\n\n${JSON.stringify(CLAIMS)}`)),
  ])
}

/**
 * @typedef {{ header: string, issuer: string, name: string, secrets: string[] }} Vector
 * @param {string} file
 * @returns {Vector[]}
 */
function vectorsOf(file) {
  return JSON.parse(readFileSync(`${VECTORS}/${file}`, 'utf8')).vectors
}

/**
 * A vector's header has no cookies but the session cookie or its chunks.
 *
 * @param {Vector} vector
 */
function tokenOf({ header }) {
  return header
    .split('; ')
    .map((cookie) => cookie.slice(cookie.indexOf('=') + 1))
    .join('')
}

/**
 * The decrypted claims; none if the token was made with another secret or for another cookie.
 *
 * @param {Vector} vector
 */
async function plaintextsOf(vector) {
  const { issuer, name, secrets } = vector
  const [salt, info, bytes] =
    issuer === 'authjs'
      ? [name, `Auth.js Generated Encryption Key (${name})`, 64]
      : ['', 'NextAuth.js Generated Encryption Key', 32]
  const keys = secrets.map((secret) => new Uint8Array(hkdfSync('sha256', secret, salt, info, bytes)))
  const opened = await Promise.allSettled(keys.map((key) => compactDecrypt(tokenOf(vector), key)))
  return opened.flatMap((result) =>
    result.status === 'fulfilled' ? [Buffer.from(result.value.plaintext).toString()] : [],
  )
}

function headers() {
  const header = { alg: 'dir', enc: 'A256CBC-HS512' }
  return [header, { ...header, typ: 'JWT', crit: ['exp'] }, { ...header, zip: 'DEF', kid: 'x', aud: ['a'] }].map(
    (header) => JSON.stringify(header),
  )
}

// The functions below encode the structures in src as `arbitrary` decodes them: the variant of an enum is four bytes, scaled
// from their whole range to the number of variants; a bool is the lowest bit of a byte; the last field gets the rest.

/**
 * A live session in one whole cookie, the plain one of Auth.js.
 *
 * @param {number[]} options
 * @param {string} rest
 */
function request(options, rest) {
  const cookie = [...recipe(), ...variant(0, 4), ...variant(0, 6)]
  const [knowsTypes, second, firstGoesLast, padding] = [1, 0, 0, 0]
  const state = [knowsTypes, ...variant(0, 9)]
  return [...variant(0, 4), ...options, ...state, ...cookie, second, firstGoesLast, padding, ...Buffer.from(rest)]
}

/**
 * The options about tables and claims.
 *
 * @typedef {'uuid' | 'integer' | 'text'} Column
 * @param {{ tenant?: Column, sessionId: Column, userId: Column, userCheck: string, extra: number, fresh: number, expires: number }} options
 */
function setup({ tenant, sessionId, userId, userCheck, extra, fresh, expires }) {
  const column = (/** @type {Column} */ name) => variant(['uuid', 'integer', 'text'].indexOf(name), 3)
  return [
    ...(tenant ? [1, ...column(tenant)] : [0]),
    ...column(sessionId),
    ...column(userId),
    ...variant(['type', 'exists', 'none'].indexOf(userCheck), 3),
    extra,
    ...[fresh & 0xff, fresh >> 8],
    expires,
  ]
}

/** A token with the header that Auth.js writes, without damage. */
function recipe() {
  return [...seal(), ...variant(0, 18), ...variant(0, 8)]
}

/** A token for the plain cookie of Auth.js, made with the newest secret and CBC. */
function seal() {
  return [...variant(0, 4), ...variant(0, 3), 0]
}

/**
 * The name `sid`, the usual attributes, a token or none, a header.
 *
 * @param {number[]} token its length in units of 1000 and the rest, and the longest value
 * @param {string} header
 */
function setCookie([thousands, rest, longest], header) {
  const attributes = [0, 0, 0, 1, 0]
  const token =
    thousands === undefined ? [0] : [1, ...numbers(2, thousands * 1000 + rest, longest), ...numbers(8, 1_800_000_000)]
  return [0, ...attributes, ...token, ...Buffer.from(header)]
}

/**
 * @param {2 | 8} bytes of each
 * @param {number[]} numbers
 */
function numbers(bytes, ...numbers) {
  return numbers.flatMap((number) => {
    const encoded = Buffer.alloc(8)
    encoded.writeBigUInt64LE(BigInt(number))
    return [...encoded.subarray(0, bytes)]
  })
}

/**
 * @param {number} index
 * @param {number} count
 */
function variant(index, count) {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(Math.floor(((index + 0.5) / count) * 2 ** 32))
  return bytes
}

/**
 * @param {string} folder
 * @param {(string | Uint8Array | number[])[]} seeds
 */
function write(folder, seeds) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const seed of seeds) {
    const bytes = Buffer.from(seed)
    writeFileSync(`${folder}/${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`, bytes)
  }
}
