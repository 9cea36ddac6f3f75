// Reads `Cookie` headers with the reference implementations, and converts their claims to the documented session object.

import { decode as decode5, getToken as getToken5 } from '@auth/core/jwt'
import { parse } from 'cookie'
import { decode as decode4, getToken as getToken4 } from 'next-auth-4/jwt'
import type { AuthBridgeOptions } from '../../index.js'

export type Claims = Record<string, unknown>
export type Issuer = 'authjs' | 'next-auth-v4'

/** The configuration of an app. */
export interface Setup {
  issuer: Issuer
  name: string
  /** Newest first. */
  secrets: string[]
}

/** Which object an app has, and what its tables are. */
export interface Form {
  options?: Pick<AuthBridgeOptions, 'multiTenant' | 'userCheck' | 'extraClaims' | 'expires'>
  /** Whether the columns of ids are texts; else they are UUIDs. */
  textIds?: boolean
  /** What the database says in place of the token. */
  fresh?: Claims
}

/** The claims that Auth.js or next-auth 4 reads. */
export async function readByReference(header: string, { issuer, name, secrets }: Setup): Promise<Claims | null> {
  if (issuer === 'authjs') {
    const silent = { debug() {}, warn() {}, error() {} }
    const request = { headers: { cookie: header } }
    return getToken5({ req: request, secret: secrets, cookieName: name, salt: name, logger: silent })
  }
  const request = { headers: {}, cookies: parse(header) } as unknown as Parameters<typeof getToken4>[0]['req']
  return getToken4({ req: request, secret: secrets[0] ?? '', cookieName: name })
}

/** The claims that this package must read: decoded by the reference, with the documented differences applied. */
export async function readAsDocumented(header: string, setup: Setup, form: Form = {}): Promise<Claims | null> {
  if (Buffer.byteLength(header) > MAX_HEADER_BYTES) return null
  for (const token of readings(header, setup.name)) {
    if (tokenDifferences(token, setup).some((difference) => REFUSED.includes(difference))) continue
    const claims = await decode(token, setup)
    if (claims?.exp !== undefined && bodyOf(claims, form).user) return claims
  }
  return null
}

/** The rows of docs/differences.md that may explain another result than the reference's for this request. */
export function differences(header: string, setup: Setup, reference: Claims | null): Difference[] {
  const all = parseCookies(header).filter(([name]) => name.startsWith(setup.name))
  const used = all.filter(([, value]) => value !== '').map(([name]) => name)
  const chunked = used.every((_, index) => used.includes(`${setup.name}.${index}`))
  const found: Difference[] = used.length > 0 && !chunked && used.join() !== setup.name ? ['cookies by prefix'] : []
  if (new Set(all.map(([name]) => name)).size < all.length) found.push('several cookies')
  if (Buffer.byteLength(header) > MAX_HEADER_BYTES) found.push('size')
  if (setup.issuer === 'next-auth-v4' && /=[ \t]*"/.test(header)) found.push('quoted value')
  if (reference && reference.exp === undefined) found.push('no exp')
  return [...found, ...readings(header, setup.name).flatMap((token) => tokenDifferences(token, setup))]
}

export type Difference =
  | 'cookies by prefix'
  | 'several cookies'
  | 'size'
  | 'quoted value'
  | 'no exp'
  | 'base64url spelling'
  | 'zip'
  | 'header'
  | 'claims in the header'
  | 'no kid'
  | 'next-auth 4: kid'
  | 'next-auth 4: enc'
  | 'next-auth 4: rotation'

/** Differences for which this package refuses the token, even if the reference accepts it. */
const REFUSED: Difference[] = [
  'size',
  'base64url spelling',
  'zip',
  'header',
  'claims in the header',
  'next-auth 4: kid',
  'next-auth 4: enc',
]
const MAX_HEADER_BYTES = 65_536
const MAX_TOKEN_BYTES = 32_768
const MAX_PROTECTED_HEADER_BYTES = 2048

function tokenDifferences(token: string, { issuer, secrets }: Setup): Difference[] {
  const found: Difference[] = token.length > MAX_TOKEN_BYTES ? ['size'] : []
  const parts = token.split('.')
  if ((parts[0] ?? '').length > MAX_PROTECTED_HEADER_BYTES) found.push('size')
  const respelled = parts.map((part) => Buffer.from(part, 'base64url').toString('base64url'))
  if (respelled.join('.') !== token) found.push('base64url spelling')
  let header: Record<string, unknown>
  try {
    header = JSON.parse(Buffer.from(parts[0] ?? '', 'base64url').toString())
  } catch {
    return found
  }
  if (header.zip !== undefined) found.push('zip')
  if (['typ', 'cty', 'jku'].some((name) => !['string', 'undefined'].includes(typeof header[name]))) {
    found.push('header')
  }
  if (['iss', 'sub', 'aud'].some((name) => header[name] !== undefined)) found.push('claims in the header')
  if (issuer === 'authjs' && header.kid === undefined && secrets.length > 1) found.push('no kid')
  if (issuer === 'next-auth-v4' && secrets.length > 1) found.push('next-auth 4: rotation')
  if (issuer === 'next-auth-v4' && header.kid !== undefined) found.push('next-auth 4: kid')
  if (issuer === 'next-auth-v4' && header.enc !== 'A256GCM') found.push('next-auth 4: enc')
  return found
}

/** Each whole cookie, then what the chunks may be joined to, from 0 up to the first gap. */
function readings(header: string, name: string) {
  const values = parseCookies(header)
    .filter(([cookie]) => cookie === name)
    .map(([, value]) => value)
  return [...values, ...joinedChunks(header, name)].filter((token) => token !== '')
}

/**
 * With an index that occurs twice, the chunks of several cookies are in the header, and it doesn't say which belong together:
 * runs of growing indices, or the first of each index, then the second, ..., or the same from the last.
 */
function joinedChunks(header: string, name: string) {
  const chunks = parseCookies(header).flatMap(([cookie, value]) => {
    const [, index] = cookie.startsWith(name) ? (/^\.(0|[1-9]\d{0,4})$/.exec(cookie.slice(name.length)) ?? []) : []
    return index === undefined ? [] : [{ index: Number(index), value }]
  })
  type Chunks = typeof chunks
  const runs: Chunks[] = []
  for (const chunk of chunks) {
    const run = runs.at(-1)
    if (run && (run.at(-1)?.index ?? 0) < chunk.index) run.push(chunk)
    else runs.push([chunk])
  }
  const deal = (equal: (index: number) => Chunks) => {
    const count = chunks.filter(({ index }) => index === 0).length
    return Array.from({ length: count }, (_, nth) => {
      const token: Chunks = []
      for (let chunk = equal(0)[nth]; chunk; chunk = equal(token.length)[nth]) token.push(chunk)
      return token
    })
  }
  const of = (index: number) => chunks.filter((chunk) => chunk.index === index)
  const sorted = [...chunks].sort((one, other) => one.index - other.index)
  const isUnique = new Set(chunks.map(({ index }) => index)).size === chunks.length
  const guesses = isUnique ? [sorted] : [...runs, ...deal(of), ...deal((index) => of(index).reverse())]
  const upToGap = (guess: Chunks) =>
    guess.filter(
      ({ index }, place) => guess.slice(0, place + 1).every((chunk, at) => chunk.index === at) && index === place,
    )
  return [
    ...new Set(
      guesses.map((guess) =>
        upToGap(guess)
          .map(({ value }) => value)
          .join(''),
      ),
    ),
  ]
}

/** In the order of the header, each as often as it is there. */
function parseCookies(header: string) {
  return header.split(';').flatMap((part): [string, string][] => {
    const [, name, value = ''] = /^[ \t]*([^=]*?)[ \t]*=[ \t]*(.*?)[ \t]*$/s.exec(part) ?? []
    return name === undefined ? [] : [[name, percentDecode(value)]]
  })
}

function percentDecode(value: string) {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

/** Tries each secret: without `kid` Auth.js tries the first only, and next-auth 4 supports only one. */
async function decode(token: string, { issuer, name, secrets }: Setup) {
  for (const secret of secrets) {
    const claims = issuer === 'authjs' ? decode5({ token, secret, salt: name }) : decode4({ token, secret })
    const opened = await claims.catch(() => null)
    if (opened) return opened as Claims
  }
  return null
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const text = (value: unknown) => (typeof value === 'string' ? value : undefined)
const uuid = (value: unknown) => (typeof value === 'string' && UUID.test(value) ? value : undefined)

/** The documented session object for a live session with these claims. */
export function bodyOf(token: Claims, { options = {}, textIds = false, fresh = {} }: Form = {}) {
  const { multiTenant = true, userCheck = 'type', extraClaims = [], expires = false } = options
  const claims: Claims = { ...token, ...fresh }
  const isId = textIds ? textId : uuid
  const id = textIds ? textId(claims.id ?? claims.sub) : text(claims.id ?? claims.sub)
  const { user_type, addons, subscription_status } = claims
  if (!isId(id) || !isId(claims.session_id) || (multiTenant && !isId(claims.tenant))) return {}
  const isType = user_type === 'client' || user_type === 'internal'
  if (userCheck === 'type' && !isType) return {}
  const listed = Array.isArray(addons) && addons.every((addon) => typeof addon === 'string')
  const known = ['active', 'trialing', 'past_due', 'unpaid'].includes(subscription_status as string)
  return present({
    session_id: isId(claims.session_id),
    login_method: text(claims.login_method),
    user: present({
      id,
      email: text(claims.email) ?? '',
      name: text(claims.name) ?? '',
      username: text(claims.username) ?? '',
      image: text(claims.image) ?? text(claims.picture),
      proToken: text(claims.proToken),
      tenantSlug: text(claims.tenantSlug),
      plan: text(claims.plan),
      tenant: multiTenant ? claims.tenant : undefined,
      user_type: isType ? user_type : undefined,
      clientId: uuid(claims.clientId),
      contactId: uuid(claims.contactId),
      addons: listed ? addons : [],
      trial_end: text(claims.trial_end) ?? null,
      solo_pro_trial_end: text(claims.solo_pro_trial_end) ?? null,
      premium_trial_end: text(claims.premium_trial_end) ?? null,
      premium_trial_effective_date: text(claims.premium_trial_effective_date) ?? null,
      premium_trial_confirmed: claims.premium_trial_confirmed === true,
      subscription_status: known ? subscription_status : null,
      // What the token lacks is left out, null is not; of the database's values null is left out, too.
      ...Object.fromEntries(
        extraClaims.map((name) => [name, name in fresh ? (fresh[name] ?? undefined) : token[name]]),
      ),
    }),
    expires: expires ? expiry(Number(claims.exp)) : undefined,
  })
}

/** A number is read as its text. */
function textId(value: unknown) {
  const id = typeof value === 'number' ? JSON.stringify(value) : text(value)
  return id && !/\0|[\ud800-\udfff]/u.test(id) && Buffer.byteLength(id) <= 1024 ? id : undefined
}

function expiry(exp: number) {
  const last = Date.UTC(9999, 11, 31, 23, 59, 59, 999)
  const time = new Date(Math.min(Math.round(exp * 1000), last))
  // The reference also reads tokens with an odd `exp`, which this package refuses.
  return Number.isNaN(time.getTime()) ? 'invalid' : time.toISOString()
}

/** Removes the fields that are undefined. */
function present(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
