// The cookies of a browser, as far as a session needs them: RFC 6265bis sections 5.6 to 5.8, without public suffixes and
// without the context of a request (`SameSite` and partitions decide nothing here).

interface Cookie {
  name: string
  value: string
  domain: string
  hostOnly: boolean
  path: string
  secure: boolean
  httpOnly: boolean
  /** In ms since 1970; infinite for a cookie of the browser's session. */
  expires: number
  /** A counter in place of the time, so that no two are equal. */
  created: number
}

const MAX_NAME_AND_VALUE_BYTES = 4096
const MAX_ATTRIBUTE_BYTES = 1024
const DAY = 86_400_000

export class CookieJar {
  #cookies: Cookie[] = []
  #created = 0

  /** Stores what a `Set-Cookie` line of a response from `url` says. Returns whether the line counts. */
  set(line: string, url: string, now = Date.now()) {
    const request = new URL(url)
    const [pair = '', ...rest] = line.split(';')
    const [name, value] = pair.includes('=') ? split(pair) : ['', pair.trim()]
    const attributes = new Map<string, string>()
    for (const attribute of rest) {
      const [key, text] = split(attribute)
      // The last of a name counts.
      if (Buffer.byteLength(text) <= MAX_ATTRIBUTE_BYTES) attributes.set(key.toLowerCase(), text)
    }
    if (name === '' && value === '') return false
    if (Buffer.byteLength(name + value) > MAX_NAME_AND_VALUE_BYTES) return false

    const domain = (attributes.get('domain') ?? '').replace(/^\./, '').toLowerCase()
    if (domain !== '' && !domainMatches(request.hostname, domain)) return false
    const path = attributes.get('path')?.startsWith('/') ? attributes.get('path') : undefined
    const secure = attributes.has('secure')
    const isHttps = request.protocol === 'https:'
    if (secure && !isHttps) return false
    const needsSecure =
      attributes.get('samesite')?.toLowerCase() === 'none' ||
      attributes.has('partitioned') ||
      /^__(secure|host)-/i.test(name)
    if (needsSecure && !secure) return false
    if (/^__host-/i.test(name) && (domain !== '' || path !== '/')) return false

    const cookie: Cookie = {
      name,
      value,
      domain: domain || request.hostname,
      hostOnly: domain === '',
      path: path ?? defaultPath(request.pathname),
      secure,
      httpOnly: attributes.has('httponly'),
      expires: expiry(attributes, now),
      created: this.#created++,
    }
    const known = this.#cookies.find((other) => isSame(other, cookie))
    // Nobody may overwrite a secure cookie over http.
    if (known?.secure && !isHttps) return false
    if (known) cookie.created = known.created
    this.#cookies = this.#cookies.filter((other) => other !== known)
    if (cookie.expires > now) this.#cookies.push(cookie)
    return true
  }

  /** The cookies of a request to `url`, in their order. */
  cookies(url: string, now = Date.now()): { name: string; value: string }[] {
    const { hostname, pathname, protocol } = new URL(url)
    return this.#cookies
      .filter(({ domain, hostOnly }) => (hostOnly ? hostname === domain : domainMatches(hostname, domain)))
      .filter(({ path, secure }) => pathMatches(pathname, path) && (!secure || protocol === 'https:'))
      .filter(({ expires }) => expires > now)
      .sort((one, other) => other.path.length - one.path.length || one.created - other.created)
      .map(({ name, value }) => ({ name, value }))
  }

  /** The `Cookie` header of a request to `url`. */
  header(url: string, now = Date.now()) {
    return this.cookies(url, now)
      .map(({ name, value }) => (name === '' ? value : `${name}=${value}`))
      .join('; ')
  }
}

function split(text: string): [string, string] {
  const at = text.indexOf('=')
  return at < 0 ? [text.trim(), ''] : [text.slice(0, at).trim(), text.slice(at + 1).trim()]
}

function isSame(one: Cookie, other: Cookie) {
  return (['name', 'domain', 'hostOnly', 'path'] as const).every((key) => one[key] === other[key])
}

/** `Max-Age` counts before `Expires`, and no cookie is kept for more than 400 days. */
function expiry(attributes: Map<string, string>, now: number) {
  const last = now + 400 * DAY
  const maxAge = attributes.get('max-age') ?? ''
  if (/^-?\d+$/.test(maxAge)) return Number(maxAge) <= 0 ? 0 : Math.min(now + Number(maxAge) * 1000, last)
  const expires = Date.parse(attributes.get('expires') ?? '')
  return Number.isNaN(expires) ? Number.POSITIVE_INFINITY : Math.min(expires, last)
}

function domainMatches(host: string, domain: string) {
  return host === domain || host.endsWith(`.${domain}`)
}

function defaultPath(pathname: string) {
  return pathname.slice(0, pathname.lastIndexOf('/')) || '/'
}

function pathMatches(pathname: string, path: string) {
  return pathname === path || (pathname.startsWith(path) && (path.endsWith('/') || pathname[path.length] === '/'))
}
