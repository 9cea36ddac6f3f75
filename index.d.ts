/** The body of `GET /api/auth/session`: the session, or `{}` when the request is unauthenticated. */
export type AuthSessionResponse = AuthSession | UnauthenticatedSession

/**
 * What your options change in the types. The types don't see the options, so say it once, in any module of the app:
 *
 * ```ts
 * declare module 'authjs-bridge' {
 *   interface Register {
 *     multiTenant: false
 *     userCheck: 'exists'
 *     expires: true
 *     extraClaims: { product_code?: string; limits?: { seats: number } }
 *   }
 * }
 * ```
 *
 * Each member is optional, and means the option of the same name. With `multiTenant: false` there is no `tenant`. With a
 * `userCheck` of `'exists'` or `'none'`, `user_type` is optional. With `expires: true` a session has `expires`. The members of
 * `extraClaims` are added to `AuthSessionUser`; let them be optional, since nothing makes a token have them.
 */
// biome-ignore lint/suspicious/noEmptyInterface: the app adds the members
export interface Register {}

// biome-ignore lint/complexity/noUselessEmptyExport: without it, a .d.ts exports the types below, too
export {}

type Nothing = Record<never, never>
type IfMultiTenant<T> = Register extends { multiTenant: false } ? Nothing : T
type IfUserTypeIsChecked<T> = Register extends { userCheck: 'exists' | 'none' } ? Partial<T> : T
type IfExpires<T> = Register extends { expires: true } ? T : Nothing
type ExtraClaims = Register extends { extraClaims: infer Claims } ? Claims : Nothing

/** A live session. */
export interface AuthSession
  extends IfExpires<{
    /** When the token expires: ISO 8601 in UTC. Only with the option `expires`. */
    expires: string
  }> {
  /** Id of the session's row. */
  session_id: string
  /** How the user signed in: `credentials`, `google`, `azure-ad`, ... Absent when the token has no such claim. */
  login_method?: string
  /** Who is signed in. */
  user: AuthSessionUser
}

/** The empty object. Check `if (session.user)` to tell it from an `AuthSession`. */
export interface UnauthenticatedSession extends IfExpires<{ expires?: never }> {
  session_id?: never
  login_method?: never
  user?: never
}

/** The user of a live session: from the claims of the token, and from the database for the claims of the option `freshClaims`. */
export interface AuthSessionUser
  extends IfMultiTenant<{
      /** Id of the tenant. Not with `multiTenant: false`. */
      tenant: string
    }>,
    IfUserTypeIsChecked<{
      /** `internal` for the tenant's staff, `client` for users of its client portal. */
      user_type: 'client' | 'internal'
    }>,
    ExtraClaims {
  /** Id of the user: the claim `id`, or else `sub`. */
  id: string
  /** E-mail address; `""` when the token has none. */
  email: string
  /** Display name; `""` when the token has none. */
  name: string
  /** Sign-in name; `""` when the token has none. */
  username: string
  /** URL of the picture: the claim `image`, or else `picture`. */
  image?: string
  /** Token for the pro edition. */
  proToken?: string
  /** The tenant's name in URLs. */
  tenantSlug?: string
  /** The tenant's plan. */
  plan?: string
  /** UUID of the client company that a client-portal user belongs to. */
  clientId?: string
  /** UUID of the contact record of a client-portal user. */
  contactId?: string
  /** Add-ons that the tenant has booked. */
  addons: string[]
  /** When the trial ends. */
  trial_end: string | null
  /** When the trial of the solo pro plan ends. */
  solo_pro_trial_end: string | null
  /** When the trial of the premium plan ends. */
  premium_trial_end: string | null
  /** When the premium plan takes effect after its trial. */
  premium_trial_effective_date: string | null
  /** Whether the premium plan was confirmed during its trial. */
  premium_trial_confirmed: boolean
  /** State of the tenant's subscription; null where the token has none, or another value. */
  subscription_status: 'active' | 'trialing' | 'past_due' | 'unpaid' | null
}

/**
 * Options of `new AuthBridge(options)`. An omitted option is read from the environment or has its default. An unknown option is
 * an error, and so is one that is given but undefined, null or empty.
 */
export interface AuthBridgeOptions {
  /**
   * The secret that Auth.js encrypts its cookies with. While you rotate secrets: the list of them, newest first.
   * Default: those of `AUTH_SECRET_3`, `AUTH_SECRET_2`, `AUTH_SECRET_1`, `AUTH_SECRET` and `NEXTAUTH_SECRET` that are set.
   */
  secret?: string | string[]
  /**
   * The full name of the session cookie, if the app doesn't use the default; or a list of names. Of the cookies that a request
   * has, the newest session that is live is returned; while it has a `__Host-` cookie, only those count, and else, while it has a
   * `__Secure-` cookie, only those. Chunks (`name.0`, ...) are found without being listed. Default: see `secureCookie`.
   */
  cookieName?: string | SessionCookie | (string | SessionCookie)[]
  /**
   * Whether the session cookie is `__Secure-authjs.session-token` (true) or `authjs.session-token` (false).
   * Default: whether `AUTH_URL`, or else `NEXTAUTH_URL`, begins with `https://`. If neither is set, the `__Secure-` cookie is used
   * if the request has one, or else the plain one; when `NODE_ENV` is `production`, only the `__Secure-` cookie is used.
   */
  secureCookie?: boolean
  /**
   * `postgres://user:password@host:port/database?sslmode=...`, with one or more hosts. docs/configuration.md lists the parameters.
   * Default: `AUTH_BRIDGE_DATABASE_URL`, or else `DATABASE_URL`. What the URL leaves open is read from libpq's variables, as by
   * psql: `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE`, `PGSSLMODE`, ...
   */
  databaseUrl?: string
  /**
   * The password, in place of that of the URL. A function is called for each new connection, such as for a token that expires;
   * `connectTimeout` is its time limit.
   */
  password?: string | (() => string | Promise<string>)
  /** TLS settings that can't be part of the URL. */
  tls?: {
    /**
     * Certificates of the certificate authorities to trust, as PEM text; no others are trusted. Unless the URL has another
     * `sslmode`, `verify-full` is used: one of them must have signed the server's certificate, and it must be for its host name.
     */
    ca?: string | string[]
  }
  /**
   * Whether statements are prepared once per connection. Set it to false behind a pooler in transaction mode, such as PgBouncer:
   * then unnamed statements are used, in one round trip each, and no setting of the connection is changed.
   * Default: true, or false if the URL has `pgbouncer=true` or an equivalent parameter.
   */
  preparedStatements?: boolean
  /**
   * Whether each query is limited to one tenant, so that a distributed database, such as Citus, runs it on one shard. If false,
   * calls of several tenants share a query, which is faster on a single server. Default: false.
   */
  sharded?: boolean
  /**
   * Whether `sessions.expires_at` is ignored: it is neither read nor written, and need not exist. Then a session ends only when its
   * token expires, when it is revoked, or by `absoluteMaxAge`. Default: false.
   */
  ignoreExpiresAt?: boolean
  /**
   * The two tables or views, each as `name` or `schema.name`, without quotes: upper case counts. Without a PostgreSQL schema, it is
   * that of the URL (`schema=app`), or else the search path decides. Default: `sessions` and `users`.
   *
   * A name of another form is an error of the code `ERR_AUTH_BRIDGE_CONFIG`; a table that doesn't exist is one of
   * `ERR_AUTH_BRIDGE_DATABASE`, at the first query.
   */
  tables?: { sessions?: string; users?: string }
  /**
   * Whether rows and tokens have a tenant. If false, the column and the claim `tenant` are not read, and the session has none; see
   * `Register`. It is an error together with `sharded`. Default: true.
   */
  multiTenant?: boolean
  /**
   * What is asked of the user's row. `'type'`: it exists, and its `user_type` is that of the token. `'exists'`: it exists.
   * `'none'`: nothing; the users are not read. Unless it is `'type'`, the claim `user_type` may be absent; see `Register`.
   * Default: `'type'`.
   */
  userCheck?: 'type' | 'exists' | 'none'
  /**
   * Names of claims of your app. Their values are passed on in `user`, after the documented fields, as the token has them. A name of
   * a documented field, of JWT (`sub`, `exp`, ...) or of a column of the rows is an error, and so is an empty list. To give them
   * types, see `Register`. Default: none.
   */
  extraClaims?: string[]
  /**
   * Columns of the users' table or view that count in place of the token's claims of the same names: fields of the session but `id`,
   * `tenant` and `session_id`, and names of `extraClaims`. `user_type` needs `userCheck: 'exists'`. They are read in the same query.
   * Null is as an absent claim. Another name is an error, as is an empty list or `userCheck: 'none'`. A column that doesn't exist, or
   * of a type that the field can't have, is an error of the code `ERR_AUTH_BRIDGE_DATABASE` that names it. Default: none.
   */
  freshClaims?: string[]
  /** Whether the session says when its token expires, as `expires`; see `Register`. Default: false. */
  expires?: boolean
  /**
   * How long a session lives after it was last used, in seconds, from 1 to 34560000 (400 days): what `refreshSession` sets. Set it to
   * `session.maxAge` of Auth.js. Default: as long as its token and its row were given: the shorter of `exp - iat` and
   * `expires_at - last_activity_at`.
   */
  maxAge?: number
  /**
   * How long a session can live at all, in seconds, however much it is used: after `created_at` plus this it is not live, in
   * every call. The column is needed then; a row whose `created_at` is null is not live. Default: without end.
   */
  absoluteMaxAge?: number
  /**
   * How old a token may become, in seconds, until `refreshSession` issues it anew; half the session's lifetime if that is less. 0: at
   * each call. Default: 300.
   */
  updateAge?: number
  /**
   * The attributes of the cookies that are set. What browsers would drop is an error. They are `HttpOnly` in any case. Give it what
   * you give to `cookies.sessionToken.options` of Auth.js.
   */
  cookie?: {
    /** Default: none, which is the host of the request alone. */
    domain?: string
    /** Default: `/`. */
    path?: string
    /** Default: `lax`. */
    sameSite?: 'lax' | 'strict' | 'none'
    /**
     * Default: true for a name with `__Secure-` or `__Host-`; for others, whether `AUTH_URL`, or else `NEXTAUTH_URL`, begins with
     * `https://`; if neither is set, whether `NODE_ENV` is `production`.
     */
    secure?: boolean
    /** Default: false. */
    partitioned?: boolean
  }
  /**
   * Whether `refreshSession` moves a session whose cookie has another name to the first of `cookieName`, at once, and deletes the other
   * cookie. Default: false.
   */
  migrateCookies?: boolean
  /**
   * The most time for one attempt to connect to one address, in ms. All attempts for one connection share nine tenths of
   * `callTimeout`. Default: `connect_timeout` of the URL, or else 5000.
   */
  connectTimeout?: number
  /** The most time for one query, in ms. With prepared statements, `statement_timeout` is set to a second more. Default: 5000. */
  queryTimeout?: number
  /** The most time for a call as a whole, in ms; after that it rejects. Default: 10000. */
  callTimeout?: number
  /** The most connections, which are opened on demand. Default: `connection_limit` of the URL, or else 10. */
  maxConnections?: number
  /**
   * For how long a connection is used, in ms, at most: then it is replaced. So for this long an old primary that is still
   * reachable is asked after a failover. 0: for ever. Default: `max_lifetime` of the URL (in s), or else 1800000, which is 30
   * minutes.
   */
  maxLifetime?: number
  /**
   * After which time an idle connection is closed, in ms; the last one stays open, and has to answer a probe before it is used
   * again. 0: never. Default: `idle_timeout` of the URL (in s), or else 60000.
   */
  idleTimeout?: number
  /** The most calls that wait for a query; further calls are rejected at once. Default: 10000. */
  maxWaiting?: number
  /**
   * For how long an answer of the database serves later calls for the same session, in ms, counted from when its query was sent: at
   * most 3600000, an hour. A call that starts so long after a revocation was committed never gets the session; what this process
   * itself ends counts at once. Default: 0, every call asks the database.
   */
  maxStaleness?: number
  /** The most sessions of which answers are kept, with `maxStaleness`. Default: 10000. */
  maxCached?: number
  /**
   * Whether answers are dropped as soon as a session has ended in the database, whoever ended it: by a notification, on a connection
   * of its own. Needs `maxStaleness`, which stays the bound if a notification is lost, and the triggers that
   * `npx authjs-bridge schema --notify` prints. Not with `sharded`. Default: false.
   */
  listen?: boolean
  /**
   * The URL for that connection, where `databaseUrl` leads to a pooler in transaction mode or to a standby: notifications come from
   * the primary itself. Default: `databaseUrl`.
   */
  listenUrl?: string
}

/** The second argument of `refreshSession`. */
export interface RefreshOptions {
  /**
   * Claims to change in the token, if it is issued anew; or a function of the session that returns them, which is called only then,
   * and counts towards `callTimeout`. If it throws, the call rejects and nothing is issued.
   */
  claims?: ClaimChanges | ((session: AuthSession) => ClaimChanges | Promise<ClaimChanges>)
}

/**
 * Claims to set in a token, as JSON; null removes one. Claims that say whose session it is or how long it lasts can't be changed:
 * `session_id`, `tenant`, `id`, `sub`, `user_type`, `iss`, `aud`, `exp`, `iat`, `nbf`, `jti`, `rolled_at`.
 */
export type ClaimChanges = Record<string, unknown>

/** What `refreshSession` resolves to. */
export interface RefreshedSession {
  /** What `getSession` returns for the `cookieHeader` below. */
  session: AuthSessionResponse
  /** Whole values of `Set-Cookie` headers, to append to the response in this order; empty when the cookies stay as they are. */
  setCookie: string[]
  /** The request's `Cookie` header as it is with them, for whatever renders this same request. */
  cookieHeader: string
}

/** What `updateSession` resolves to. */
export interface UpdatedSession extends RefreshedSession {
  /** Whether the session lives, so that its token was issued anew. */
  updated: boolean
}

/** A session cookie with a custom name. */
export interface SessionCookie {
  /** The full name of the cookie. */
  name: string
  /**
   * The library that encrypts it: `authjs` is Auth.js (next-auth 5), `next-auth-v4` is next-auth 4.
   * Default: `next-auth-v4` for `next-auth.session-token` and `__Secure-next-auth.session-token`, `authjs` for all others.
   */
  issuer?: 'authjs' | 'next-auth-v4'
}

/**
 * What `explainSession` returns. `status` is what `getSession` does with the same request: `authenticated` if it returns a
 * session, `unauthenticated` if it returns `{}`, `unavailable` if it rejects. `reason` says why, and decides which details there
 * are; docs/how-a-request-is-decided.md says what to do about each. Times are ISO 8601 in UTC, or null if the time is not set,
 * can't be read, or is out of range.
 */
export type SessionExplanation = (
  | LiveSession
  | RefusedRequest
  | RefusedCookie
  | RefusedSession
  /** The database can't be queried; `getSession` rejects with the same code. */
  | {
      status: 'unavailable'
      reason: 'database-unavailable'
      code: 'ERR_AUTH_BRIDGE_DATABASE' | 'ERR_AUTH_BRIDGE_TIMEOUT'
      message: string
      cookie: FoundCookie
      session: ClaimedSession
    }
) & {
  /** The possible tokens of the session cookies, if there are several. */
  readings?: CookieReading[]
  /**
   * What was kept of the database's last answer about this session: `getSession` returns it without asking. `age` is in ms since its
   * query was sent. Only with `maxStaleness`.
   */
  kept?: { reason: 'live' | 'session-revoked'; age: number }
}

/** The session is live. */
export interface LiveSession {
  status: 'authenticated'
  reason: 'live'
  cookie: FoundCookie
  session: ClaimedSession
  /** The names of the claims of the app that the session has. Only with the option `extraClaims`. */
  extraClaims?: string[]
  /** The names of the fresh claims that the session has. Only with the option `freshClaims`. */
  freshClaims?: string[]
}

/** No cookie was read. */
export type RefusedRequest = { status: 'unauthenticated' } & (
  | {
      reason: 'no-cookie'
      /** The accepted names, in order of preference. */
      expected: string[]
      /** Cookies with a similar name, at most ten. */
      nearMisses: NearMiss[]
    }
  /** The `Cookie` header has more than `limit` bytes. */
  | { reason: 'header-too-large'; bytes: number; limit: number }
)

/** There is a session cookie, but it is not valid. */
export type RefusedCookie = { status: 'unauthenticated'; cookie: FoundCookie } & (
  | { reason: 'empty-cookie' }
  /** Chunk number `missing` is not there, but a later chunk is. */
  | { reason: 'chunk-gap'; missing: number }
  /** The token opens without the chunks `stale`, which were left over from a longer token. */
  | { reason: 'stale-chunks'; stale: number[] }
  /** The token has more than `limit` bytes. */
  | { reason: 'token-too-large'; bytes: number; limit: number }
  /** Not a compact JWE. */
  | { reason: 'malformed-token' }
  /** The key of a session that Auth.js keeps in its database. */
  | { reason: 'database-token' }
  /** A JWT that is signed, but not encrypted. */
  | { reason: 'signed-token' }
  /** Fields of the token's header that differ from what Auth.js writes. */
  | { reason: 'unsupported-header'; fields: ('alg' | 'enc' | 'crit' | 'zip' | 'iss' | 'sub' | 'aud')[] }
  /** The first eight characters of the token's `kid` (null if it is not a thumbprint), and of that of each secret, newest first. */
  | { reason: 'no-matching-secret'; kid: string | null; secrets: { index: number; kid: string }[] }
  /** The token can't be decrypted: another secret, or the token was changed or truncated. */
  | { reason: 'undecryptable' }
  /** The claims are not a JSON object (`claim` is null), or `claim` is not a number. */
  | { reason: 'malformed-claims'; claim: 'exp' | 'nbf' | 'iat' | null }
  /** Required claims that are absent or invalid, such as an id that its column can't hold. */
  | { reason: 'missing-claims'; claims: ('exp' | 'session_id' | 'tenant' | 'id' | 'user_type')[] }
  | { reason: 'token-expired'; expiredAt: string | null; secondsAgo: number }
  | { reason: 'token-not-yet-valid'; validFrom: string | null; secondsToGo: number }
)

/** The token is valid, but the database has no live session for it. */
export type RefusedSession = {
  status: 'unauthenticated'
  cookie: FoundCookie
  session: ClaimedSession
} & (
  | { reason: 'session-revoked'; revokedAt: string | null; revokedReason: string | null }
  | { reason: 'session-expired'; expiredAt: string | null }
  /** It has lived for as long as `absoluteMaxAge` allows. */
  | { reason: 'session-too-old' }
  /** No such session, or not in this tenant. */
  | { reason: 'session-unknown' }
  /** The session belongs to another user. */
  | { reason: 'user-mismatch'; sessionUserId: string | null }
  /** The session's user doesn't exist, or not in this tenant. */
  | { reason: 'user-gone' }
  /** `from` is the user type in the token, `to` the one in the database. */
  | { reason: 'user-type-changed'; from: 'client' | 'internal'; to: string }
)

/** A cookie with a name similar to the session cookie's. */
export interface NearMiss {
  name: string
  /**
   * How the name differs from the first accepted name: in its `prefix` (`__Secure-` or none), its `issuer` (`authjs` or
   * `next-auth`) or its `suffix` (`.3000` or none), or a comma stands before it in place of a semicolon (`separator`).
   */
  differs: ('prefix' | 'issuer' | 'suffix' | 'separator')[]
}

/**
 * One of several tokens that the session cookies of a request may stand for: a browser sends several cookies of one name if
 * they were set for different domains or paths.
 */
export interface CookieReading {
  /** Name of the cookie. */
  name: string
  /** Whether it is a whole cookie; else it is in chunks. */
  whole: boolean
  /**
   * Its result: a reason of `explainSession`, or why it was not looked up. `older-token`: another cookie has a newer token of
   * the same session. `weaker-prefix`: the request has a cookie with a stronger prefix (`__Host-` before `__Secure-` before
   * none). `not-asked`: the request has more than eight sessions.
   */
  reason: SessionExplanation['reason'] | 'older-token' | 'weaker-prefix' | 'not-asked'
  /** The session in the token, if it opens. */
  session?: ClaimedSession
}

/** The session cookie of a request. */
export interface FoundCookie {
  name: string
  /** Whether there is a cookie of this name that is not split into chunks. */
  whole: boolean
  /** The numbers of the chunks: `[0, 1]` for `name.0` and `name.1`. */
  chunks: number[]
}

/** The session that the token is for. */
export interface ClaimedSession
  extends IfMultiTenant<{
      /** Not with `multiTenant: false`. */
      tenant: string
    }>,
    IfUserTypeIsChecked<{
      /** That of the token. */
      userType: 'client' | 'internal'
    }> {
  sessionId: string
  userId: string
  tokenExpiresAt: string | null
}

/** What `stats` returns: counts since the bridge was created, and the current state. */
export interface BridgeStats {
  /** Calls of `getSession`, `getSessionJson`, `refreshSession` and `updateSession` by result; `pending` calls have none yet. */
  calls: { authenticated: number; unauthenticated: number; failed: number; pending: number }
  /** Unauthenticated calls by reason. Reasons that never occurred are 0. */
  reasons: Record<RefusalReason, number>
  /** Failed calls by error code. Codes that never occurred are 0. */
  errors: Record<Exclude<ErrorCode, 'ERR_AUTH_BRIDGE_CONFIG' | 'ERR_AUTH_BRIDGE_ARGUMENT'>, number>
  /** Duration of the calls that queried the database, in ms, from the call until the result is handed to JavaScript. */
  latency: Distribution
  /** Number of different sessions per query. */
  batches: Distribution
  /** Calls whose request had sessions of different users. */
  severalUsers: number
  /**
   * Tokens that were due or updated: `issued` anew; kept, since the row was `held` by another transaction or had just ended; kept,
   * since the database `refused` to slide the row; kept, since the new one would have been `tooLarge`.
   */
  rolls: { issued: number; held: number; refused: number; tooLarge: number }
  /** Sessions that were started, ended and deleted. */
  sessions: { created: number; revoked: number; deleted: number }
  /** Sign-outs of `authjs-bridge/next-auth` that could not end their session, at the second attempt either. */
  failedSignOuts: number
  /** Answers of the database that are kept, which all bridges with the same options share. All is 0 without `maxStaleness`. */
  cache: {
    /** Sessions of which an answer is kept. */
    size: number
    /** Calls that were answered without a query. */
    hits: number
    /** Calls that asked: no answer was kept, it was too old or dropped, or it was not enough, such as to delete a cookie. */
    misses: number
    /** Answers that made room for others: `maxCached`. */
    evictions: number
    /** Calls that found an answer from before the session was ended or slid, as far as this process knows. */
    invalidations: number
  }
  /** The connection of `listen`, which all bridges to the same database share; null without it. */
  listener: null | {
    /** Whether notifications come through now. */
    listening: boolean
    /** Notifications that came. */
    notifications: number
    /** How often the connection was lost, or could not be made. */
    failures: number
    /** Why notifications don't come through; null while they do, and before the first attempt. */
    problem: string | null
  }
  /** The connection pool, which all bridges with the same options share. */
  pool: {
    /** The most connections: `maxConnections`. */
    max: number
    /** Open connections. */
    size: number
    /** Connections that are in use. */
    inUse: number
    /** Queries that wait for a connection. */
    waiting: number
    /** Connections that were opened so far. */
    connects: number
    /** Attempts to open a connection that failed. */
    connectFailures: number
  }
}

/** The reasons of `explainSession` that `stats` counts. */
export type RefusalReason = Exclude<
  SessionExplanation['reason'],
  'live' | 'database-unavailable' | 'chunk-gap' | 'stale-chunks' | 'database-token' | 'signed-token'
>

/** A histogram of measured values. A quantile is too high by an eighth at most. Everything is 0 until there is a value. */
export interface Distribution {
  count: number
  sum: number
  max: number
  p50: number
  p95: number
  p99: number
  /** `count` is the number of values that are at most `le`, by ascending `le`: cumulative, as in a Prometheus histogram. */
  buckets: { le: number; count: number }[]
}

/** What `health` resolves to. */
export interface BridgeHealth {
  /** Round-trip time of the session query, in ms. */
  milliseconds: number
}

/** What `versions` returns. `docs/supply-chain.md` says where to find the versions of all other components. */
export interface BridgeVersions {
  /** Version of this package's native addon. */
  authjsBridge: string
  /** Version of the OpenSSL that is linked into it, which is not that of `process.versions.openssl`. */
  openssl: string
}

/** An id as its column holds it. A number is taken as its text. */
export type Id = string | number

/** Whose sessions. `tenant` must be left out with `multiTenant: false`. */
export interface SessionsOfUser extends IfMultiTenant<{ tenant: Id }> {
  userId: Id
}

/** What `createSession` takes. Texts are cut to 1024 characters, and to what their column holds. Empty ones, and those without a column, are left out. */
export interface NewSession extends SessionsOfUser {
  /** How the user signed in: `credentials`, `google`, ... For the column `login_method`. */
  loginMethod?: string
  /** How long the session lives, in seconds, from 1 to 34560000. Default: the option `maxAge`, else 30 days. */
  maxAge?: number
  /** For the column `ip_address`. A column of the type `inet` stays empty if it is no address. */
  ipAddress?: string
  /** The `User-Agent` header, for the column `user_agent`. `device_name` and `device_type` are read from it. */
  userAgent?: string
  /**
   * Further columns of your table, by their names. PostgreSQL reads each value as the type of its column. With `ignoreExpiresAt` you
   * can set `expires_at`, too.
   */
  columns?: Record<string, unknown>
  /** The most live sessions that the user can have, from 1 on. Exact, also when several processes sign the user in at once. */
  maxSessions?: number
  /**
   * What happens if there are as many: `'revoke-oldest'` (default) ends those that were not active for longest, with the reason
   * `max_sessions`; in a table without `last_activity_at` and `created_at`, those that would end first. `'refuse'` rejects with `ERR_AUTH_BRIDGE_TOO_MANY_SESSIONS`.
   */
  whenFull?: 'revoke-oldest' | 'refuse'
}

/** What `createSession` resolves to. */
export interface CreatedSession {
  /** For the claim `session_id`. */
  sessionId: string
  /** ISO 8601 in UTC, by the clock of the database. */
  expiresAt: string
}

/** A session of `listSessions`. What the table has no column for is absent. Times are ISO 8601 in UTC. */
export interface ListedSession {
  sessionId: string
  loginMethod?: string | null
  ipAddress?: string | null
  userAgent?: string | null
  /** Such as `Chrome on macOS`. */
  deviceName?: string | null
  /** `desktop`, `mobile`, `tablet`, ... */
  deviceType?: string | null
  createdAt?: string | null
  lastActivityAt?: string | null
  /** Null if the session has no end. */
  expiresAt?: string | null
  /** Only on the session that `current` named. */
  current?: true
}

/** Which session `revokeSession` ends. `tenant` must be left out with `multiTenant: false`. */
export type SessionToRevoke = IfMultiTenant<{ tenant: Id }> & {
  /** May come from a client. */
  sessionId: Id
  /** For the column `revoked_reason`. */
  reason?: string
} & (
    | {
        /** The session is ended only if it is this user's. */
        userId: Id
      }
    | {
        /** For an administrator: it is ended, whosever it is. */
        anyUser: true
      }
  )

/** The options of `sealSession`. */
export interface SealOptions {
  /** How long the token is valid, in seconds, from 1 to 34560000. Default: the option `maxAge`, else 30 days. */
  maxAge?: number
  /** The `Cookie` header of the request: its other session cookies are deleted. Default: none. */
  cookieHeader?: string
}

/** What `sealSession` resolves to. */
export interface SealedSession {
  /** Whole `Set-Cookie` values to append to the response, in order. */
  setCookie: string[]
  /** The request's `Cookie` header as it will be with them. */
  cookieHeader: string
}

/** Starts a session: inserts its row. See the method of `AuthBridge`. */
export declare const createSession: AuthBridge['createSession']

/** Lists the live sessions of a user, the latest activity first, at most 1000. See the method of `AuthBridge`. */
export declare const listSessions: AuthBridge['listSessions']

/** Ends one session, if it is live and this user's; resolves to whether it did. See the method of `AuthBridge`. */
export declare const revokeSession: AuthBridge['revokeSession']

/** Ends all sessions of a user but one; resolves to how many. See the method of `AuthBridge`. */
export declare const revokeOtherSessions: AuthBridge['revokeOtherSessions']

/** Ends all sessions of a user; resolves to how many. See the method of `AuthBridge`. */
export declare const revokeSessions: AuthBridge['revokeSessions']

/** Ends all sessions of a tenant; resolves to how many. See the method of `AuthBridge`. */
export declare const revokeTenantSessions: AuthBridge['revokeTenantSessions']

/** Deletes the rows of sessions that ended before a time; resolves to how many. See the method of `AuthBridge`. */
export declare const deleteEndedSessions: AuthBridge['deleteEndedSessions']

/** Seals a token with the given claims into cookies. See the method of `AuthBridge`. */
export declare const sealSession: AuthBridge['sealSession']

/** The `code` of every error that this package throws or rejects with. */
export type ErrorCode =
  /** An option or an environment variable is missing or invalid; the message names it. */
  | 'ERR_AUTH_BRIDGE_CONFIG'
  /** An argument of a call is wrong; the message names it. */
  | 'ERR_AUTH_BRIDGE_ARGUMENT'
  /** The database can't be reached, or it refuses the query. */
  | 'ERR_AUTH_BRIDGE_DATABASE'
  /** A time limit was exceeded, or too many calls are waiting (`maxWaiting`). */
  | 'ERR_AUTH_BRIDGE_TIMEOUT'
  /** The database takes no writes: it is a standby, or read-only. */
  | 'ERR_AUTH_BRIDGE_READ_ONLY'
  /** The answer to a write was lost, so it is not known whether it took effect. */
  | 'ERR_AUTH_BRIDGE_OUTCOME_UNKNOWN'
  /** The user has `maxSessions` sessions. */
  | 'ERR_AUTH_BRIDGE_TOO_MANY_SESSIONS'
  /** `close()` was called. */
  | 'ERR_AUTH_BRIDGE_CLOSED'
  /** A bug in this package. */
  | 'ERR_AUTH_BRIDGE_INTERNAL'

/** What this package throws, and what its promises reject with. */
export interface AuthBridgeError extends Error {
  code: ErrorCode
}

/** Reads sessions with the given options. Bridges with the same database options share their connections. */
export declare class AuthBridge {
  /**
   * Starts a session: inserts its row. It needs a primary, and the right to INSERT into the table of the sessions.
   *
   * @param options Whose session it is, how long it lives, and what describes it.
   * @returns The id of the session, for the claim `session_id` of its token, and when it ends.
   * @throws {AuthBridgeError} Rejects with `ERR_AUTH_BRIDGE_ARGUMENT` when an option is wrong or a value doesn't fit its column, `ERR_AUTH_BRIDGE_TOO_MANY_SESSIONS` when the user has `maxSessions` with `whenFull: 'refuse'`, `ERR_AUTH_BRIDGE_READ_ONLY` on a standby, `ERR_AUTH_BRIDGE_OUTCOME_UNKNOWN` when the database's answer was lost, and as `getSession` does.
   */
  createSession(options: NewSession): Promise<CreatedSession>
  /**
   * Lists the live sessions of a user, the latest activity first, at most 1000. It doesn't ask whether the user still exists.
   *
   * @param options Whose sessions, and which one asks.
   * @returns The sessions, with what the table has columns for.
   * @throws {AuthBridgeError} Rejects with `ERR_AUTH_BRIDGE_ARGUMENT` when an option is wrong, and as `getSession` does.
   */
  listSessions(options: SessionsOfUser & { current?: Id }): Promise<ListedSession[]>
  /**
   * Ends one session, if it is live and this user's.
   *
   * @param options Which session, whose it must be, and why it ends. The id may come from a client.
   * @returns Whether it ended a session. False for one that had ended, that doesn't exist, or that is somebody else's. If the connection broke and it tried again, it had perhaps ended it at the first attempt.
   * @throws {AuthBridgeError} Rejects with `ERR_AUTH_BRIDGE_ARGUMENT` when an option is wrong, and as `createSession` does.
   */
  revokeSession(options: SessionToRevoke): Promise<boolean>
  /**
   * Ends all sessions of a user but one.
   *
   * @param options Whose sessions, the one that stays, and why the others end.
   * @returns How many sessions it ended. If the connection broke and it tried again, those that the first attempt ended don't count.
   * @throws {AuthBridgeError} Rejects with `ERR_AUTH_BRIDGE_ARGUMENT` when an option is wrong, and as `createSession` does.
   */
  revokeOtherSessions(options: SessionsOfUser & { sessionId: Id, reason?: string }): Promise<number>
  /**
   * Ends all sessions of a user.
   *
   * @param options Whose sessions, and why they end.
   * @returns How many sessions it ended. If the connection broke and it tried again, those that the first attempt ended don't count.
   * @throws {AuthBridgeError} Rejects with `ERR_AUTH_BRIDGE_ARGUMENT` when an option is wrong, and as `createSession` does.
   */
  revokeSessions(options: SessionsOfUser & { reason?: string }): Promise<number>
  /**
   * Ends all sessions of a tenant, 1000 in a transaction. If it rejects, some may have ended; call it again.
   *
   * @param options Which tenant, and why they end.
   * @returns How many sessions it ended. If the connection broke and it tried again, those that the first attempt ended don't count.
   * @throws {AuthBridgeError} Rejects with `ERR_AUTH_BRIDGE_ARGUMENT` when an option is wrong or there are no tenants, and as `createSession` does.
   */
  revokeTenantSessions(options: { tenant: Id, reason?: string }): Promise<number>
  /**
   * Deletes the rows of sessions that ended before a time: in one pass over the table, by its primary key, with transactions of at
   * most 1000 rows. `callTimeout` bounds each transaction, not the pass. If it rejects, some may be deleted; call it again.
   *
   * @param options Before when, and how many rows at most.
   * @returns How many rows it deleted.
   * @throws {AuthBridgeError} Rejects with `ERR_AUTH_BRIDGE_ARGUMENT` when an option is wrong, and as `createSession` does.
   */
  deleteEndedSessions(options: { before: Date, limit?: number }): Promise<number>
  /**
   * Seals a token for a session that the app started itself, and gives the cookies that hold it: for a hand-over between
   * domains, for impersonation, for tests. Needs no database.
   *
   * @param claims All claims of the token, but for `exp`, `iat`, `nbf`, `jti` and `rolled_at`, which it gets.
   * @param options How long the token is valid, and the `Cookie` header of the request, whose other session cookies are deleted.
   * @returns The `Set-Cookie` values to append to the response, and the `Cookie` header as it is with them. Whatever response carries the values needs `Cache-Control: private, no-cache, no-store, max-age=0`.
   * @throws {AuthBridgeError} Rejects with `ERR_AUTH_BRIDGE_ARGUMENT` when no session could have these claims, and with `ERR_AUTH_BRIDGE_CONFIG`.
   */
  sealSession(claims: Record<string, unknown>, options?: SealOptions): Promise<SealedSession>
  /**
   * Checks the options at once. The environment and certificate files are read at the first call, and the database is connected
   * at the first lookup. So a module can make a bridge where `next build` imports it.
   *
   * @param options An omitted option is read from the environment or has its default.
   * @throws {AuthBridgeError} `ERR_AUTH_BRIDGE_CONFIG`; the message names the option.
   */
  constructor(options?: AuthBridgeOptions)
  /**
   * Reads the session of a request.
   *
   * @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
   * @returns The body of `GET /api/auth/session`: the session, or `{}` when the request is unauthenticated.
   * @throws {AuthBridgeError} Rejects when the configuration is invalid, the database can't be queried or this bridge is closed, never because of what the client sent.
   */
  getSession(cookieHeader?: string | null): Promise<AuthSessionResponse>
  /**
   * The same as `getSession`, but resolves to JSON text: for a handler that forwards the body without reading it.
   *
   * @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
   * @returns The text that `JSON.stringify` returns for the object of `getSession`: the session, or `{}` when the request is unauthenticated.
   * @throws {AuthBridgeError} Rejects when the configuration is invalid, the database can't be queried or this bridge is closed, never because of what the client sent.
   */
  getSessionJson(cookieHeader?: string | null): Promise<string>
  /**
   * Reads the session of a request as `getSession` does, and keeps it alive: when it is due, its row lives on and the cookie is
   * issued anew, in one round trip to the database.
   *
   * @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
   * @param options Claims to change in the token that is issued.
   * @returns The session, the `Set-Cookie` values to append to the response, and the `Cookie` header as it is with them. Whatever response carries the values needs `Cache-Control: private, no-cache, no-store, max-age=0`.
   * @throws {AuthBridgeError} Rejects as `getSession` does, and with `ERR_AUTH_BRIDGE_ARGUMENT` when the claims are wrong.
   */
  refreshSession(cookieHeader?: string | null, options?: RefreshOptions): Promise<RefreshedSession>
  /**
   * Changes claims of the session, due or not: issues its cookie anew at once, wherever the session lives.
   *
   * @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
   * @param claims Claims to set in the token; null removes one.
   * @returns As `refreshSession`; `updated` is false when there is no live session.
   * @throws {AuthBridgeError} Rejects as `getSession` does, and with `ERR_AUTH_BRIDGE_ARGUMENT` when the claims are wrong, or make the token longer than 32 KiB.
   */
  updateSession(cookieHeader: string | null | undefined, claims: ClaimChanges): Promise<UpdatedSession>
  /**
   * Explains to the developer why a request has a session or not. Never send the explanation to a client.
   *
   * @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
   * @returns What `getSession` does with this request, the reason, and its details.
   * @throws {AuthBridgeError} Rejects when the configuration is invalid or this bridge is closed, but neither because of what the client sent nor when the database can't be queried.
   */
  explainSession(cookieHeader?: string | null): Promise<SessionExplanation>
  /**
   * Counts of this bridge since it was created, and the current state of its connection pool. Cheap to call: the counts
   * are kept up to date anyway.
   *
   * @throws {AuthBridgeError} `ERR_AUTH_BRIDGE_CONFIG` when no call was made before and the configuration is invalid.
   */
  stats(): BridgeStats
  /**
   * Runs the session query for a session that doesn't exist, and returns the round-trip time in ms.
   *
   * @returns The round-trip time.
   * @throws {AuthBridgeError} Rejects with the error of `getSession` when the database can't be queried or this bridge is closed.
   */
  health(): Promise<BridgeHealth>
  /**
   * Rejects further calls with `ERR_AUTH_BRIDGE_CLOSED`, waits until the calls in flight are answered, at most
   * `callTimeout`, and closes every connection that no other bridge uses. A second call does nothing.
   */
  close(): Promise<void>
}

/**
 * The bridge that the functions of this module use, for its `stats`, `health` and `close`. After `close`, the next call makes
 * a new one.
 */
export declare function defaultBridge(): AuthBridge

/**
 * Explains to the developer why a request has a session or not. It makes the same checks as `getSession`. The explanation
 * holds ids and times, but no secret, token, e-mail address or name. Never send it to a client.
 *
 * @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
 * @returns What `getSession` does with this request, the reason, and its details.
 * @throws {AuthBridgeError} Rejects when the configuration is invalid, but neither because of what the client sent nor when the database can't be queried.
 */
export declare function explainSession(cookieHeader?: string | null): Promise<SessionExplanation>

/**
 * Reads the session of a request. The configuration is read from the environment variables (`AUTH_SECRET`, `AUTH_URL`,
 * `DATABASE_URL`, `AUTH_BRIDGE_OPTIONS`, ...) at the first call that needs it.
 *
 * @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
 * @returns The body of `GET /api/auth/session`: the session, or `{}` when the request is unauthenticated.
 * @throws {AuthBridgeError} Rejects when the configuration is invalid or the database can't be queried, never because of what the client sent.
 */
export declare function getSession(cookieHeader?: string | null): Promise<AuthSessionResponse>

/**
 * The same as `getSession`, but resolves to JSON text: for a handler that forwards the body without reading it.
 *
 * @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
 * @returns The text that `JSON.stringify` returns for the object of `getSession`: the session, or `{}` when the request is unauthenticated.
 * @throws {AuthBridgeError} Rejects when the configuration is invalid or the database can't be queried, never because of what the client sent.
 */
export declare function getSessionJson(cookieHeader?: string | null): Promise<string>

/**
 * Reads the session of a request as `getSession` does, and keeps it alive: when it is due, its row lives on and the cookie is
 * issued anew, in one round trip to the database.
 *
 * @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
 * @param options Claims to change in the token that is issued.
 * @returns The session, the `Set-Cookie` values to append to the response, and the `Cookie` header as it is with them. Whatever response carries the values needs `Cache-Control: private, no-cache, no-store, max-age=0`.
 * @throws {AuthBridgeError} Rejects as `getSession` does, and with `ERR_AUTH_BRIDGE_ARGUMENT` when the claims are wrong.
 */
export declare function refreshSession(cookieHeader?: string | null, options?: RefreshOptions): Promise<RefreshedSession>

/**
 * Changes claims of the session, due or not: issues its cookie anew at once, wherever the session lives.
 *
 * @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
 * @param claims Claims to set in the token; null removes one.
 * @returns As `refreshSession`; `updated` is false when there is no live session.
 * @throws {AuthBridgeError} Rejects as `getSession` does, and with `ERR_AUTH_BRIDGE_ARGUMENT` when the claims are wrong, or make the token longer than 32 KiB.
 */
export declare function updateSession(cookieHeader: string | null | undefined, claims: ClaimChanges): Promise<UpdatedSession>

/** The versions of the native addon and of the OpenSSL in it, to compare with security advisories. Needs no configuration. */
export declare function versions(): BridgeVersions
