// What the reference implementations make of a `Cookie` header, and what the contract makes of their claims.

import { decode as decode5, getToken as getToken5 } from '@auth/core/jwt'
import { parse } from 'cookie'
import { decode as decode4, getToken as getToken4 } from 'next-auth-4/jwt'

export type Claims = Record<string, unknown>
export type Issuer = 'authjs' | 'next-auth-v4'

/** A request, and how the app is configured. */
export interface Setup {
  issuer: Issuer
  name: string
  /** Newest first. */
  secrets: string[]
}

/** The claims that Auth.js or next-auth 4 finds, as they are. */
export async function asTheReference(header: string, { issuer, name, secrets }: Setup): Promise<Claims | null> {
  if (issuer === 'authjs') {
    const silent = { debug() {}, warn() {}, error() {} }
    const request = { headers: { cookie: header } }
    return getToken5({ req: request, secret: secrets, cookieName: name, salt: name, logger: silent })
  }
  const request = { headers: {}, cookies: parse(header) } as unknown as Parameters<typeof getToken4>[0]['req']
  return getToken4({ req: request, secret: secrets[0] ?? '', cookieName: name })
}

/** The claims of the same decoders, with the deliberate differences around them. */
export async function asDocumented(header: string, setup: Setup): Promise<Claims | null> {
  if (Buffer.byteLength(header) > MAX_HEADER_BYTES) return null
  for (const token of readings(header, setup.name)) {
    if (oddities(token, setup).some((oddity) => REFUSED.includes(oddity))) continue
    const claims = await decode(token, setup)
    if (claims?.exp !== undefined && bodyOf(claims).user) return claims
  }
  return null
}

/** The rows of docs/differences.md that may make the answer to this request another one than the reference's. */
export function differences(header: string, setup: Setup, reference: Claims | null): Difference[] {
  const cookies = parseCookies(header)
  const used = [...cookies].filter(([name, value]) => name.startsWith(setup.name) && value !== '').map(([name]) => name)
  const chunked = used.every((_, index) => used.includes(`${setup.name}.${index}`))
  const found: Difference[] = used.length > 0 && !chunked && used.join() !== setup.name ? ['cookies by prefix'] : []
  if (Buffer.byteLength(header) > MAX_HEADER_BYTES) found.push('size')
  if (setup.issuer === 'next-auth-v4' && /=[ \t]*"/.test(header)) found.push('quoted value')
  if (reference && reference.exp === undefined) found.push('no exp')
  return [...found, ...readings(header, setup.name).flatMap((token) => oddities(token, setup))]
}

export type Difference =
  | 'cookies by prefix'
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

/** What is refused here, whatever the reference says. */
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

function oddities(token: string, { issuer, secrets }: Setup): Difference[] {
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

/** The whole cookie, then the chunks from 0 up to the first gap. */
function readings(header: string, name: string) {
  const cookies = parseCookies(header)
  const chunks: string[] = []
  for (let chunk = cookies.get(`${name}.0`); chunk !== undefined; chunk = cookies.get(`${name}.${chunks.length}`)) {
    chunks.push(chunk)
  }
  return [cookies.get(name) ?? '', chunks.join('')].filter((token) => token !== '')
}

function parseCookies(header: string) {
  const cookies = new Map<string, string>()
  for (const part of header.split(';')) {
    const [, name, value = ''] = /^[ \t]*([^=]*?)[ \t]*=[ \t]*(.*?)[ \t]*$/s.exec(part) ?? []
    if (name !== undefined && !cookies.has(name)) cookies.set(name, percentDecode(value))
  }
  return cookies
}

function percentDecode(value: string) {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

/** Every secret by itself: without `kid` Auth.js would try the first alone, and next-auth 4 knows but one. */
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

/** The body of the contract for a live session with these claims. */
export function bodyOf(claims: Claims) {
  const id = text(claims.id ?? claims.sub)
  const { user_type, addons, subscription_status } = claims
  if (!uuid(id) || !uuid(claims.tenant) || !uuid(claims.session_id)) return {}
  if (user_type !== 'client' && user_type !== 'internal') return {}
  const listed = Array.isArray(addons) && addons.every((addon) => typeof addon === 'string')
  const known = ['active', 'trialing', 'past_due', 'unpaid'].includes(subscription_status as string)
  return present({
    session_id: claims.session_id,
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
      tenant: claims.tenant,
      user_type,
      clientId: uuid(claims.clientId),
      contactId: uuid(claims.contactId),
      addons: listed ? addons : [],
      trial_end: text(claims.trial_end) ?? null,
      solo_pro_trial_end: text(claims.solo_pro_trial_end) ?? null,
      premium_trial_end: text(claims.premium_trial_end) ?? null,
      premium_trial_effective_date: text(claims.premium_trial_effective_date) ?? null,
      premium_trial_confirmed: claims.premium_trial_confirmed === true,
      subscription_status: known ? subscription_status : null,
    }),
  })
}

/** Without the fields that are left out. */
function present(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
