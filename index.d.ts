/** The body of `GET /api/auth/session`: the session, or `{}` when the request is unauthenticated. */
export type AuthSessionResponse = AuthSession | UnauthenticatedSession

/** A live session. */
export interface AuthSession {
  /** UUID of the session's row in the table `sessions`. */
  session_id: string
  /** How the user signed in: `credentials`, `google`, `azure-ad`, ... Absent when the token doesn't say. */
  login_method?: string
  /** Who is signed in. */
  user: AuthSessionUser
}

/** The empty object. `if (session.user)` tells it from an `AuthSession`. */
export interface UnauthenticatedSession {
  session_id?: never
  login_method?: never
  user?: never
}

/** The user of a live session, as the token's claims describe it. */
export interface AuthSessionUser {
  /** UUID of the user: the claim `id`, else `sub`. */
  id: string
  /** E-mail address; `""` when the token has none. */
  email: string
  /** Display name; `""` when the token has none. */
  name: string
  /** Sign-in name; `""` when the token has none. */
  username: string
  /** URL of the picture: the claim `image`, else `picture`. */
  image?: string
  /** Token for the pro edition. */
  proToken?: string
  /** The tenant's name in URLs. */
  tenantSlug?: string
  /** The tenant's plan. */
  plan?: string
  /** UUID of the tenant. */
  tenant: string
  /** `internal` for the tenant's own staff, `client` for users of its client portal. */
  user_type: 'client' | 'internal'
  /** UUID of the client company that a client-portal user belongs to. */
  clientId?: string
  /** UUID of the contact that a client-portal user is. */
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
  /** State of the tenant's subscription. */
  subscription_status?: 'active' | 'trialing' | 'past_due' | 'unpaid'
}

/** Options of `new AuthBridge(options)`. What is left out comes from the environment; an unknown option is an error. */
export interface AuthBridgeOptions {
  /**
   * The secret that Auth.js encrypts its cookies with, or the list during a rotation, newest first.
   * Default: `AUTH_SECRET_3`, `AUTH_SECRET_2`, `AUTH_SECRET_1`, `AUTH_SECRET`, `NEXTAUTH_SECRET`, those that are set.
   */
  secret?: string | string[]
  /**
   * The session cookie's whole name, for an app that doesn't use the default; or a list, of which the first that a request has
   * is the one that counts, `__Secure-` and `__Host-` names before all others. Chunks (`name.0`, ...) are found by themselves.
   * Default: see `secureCookie`.
   */
  cookieName?: string | SessionCookie | (string | SessionCookie)[]
  /**
   * Whether the session cookie is `__Secure-authjs.session-token` (true) or `authjs.session-token` (false).
   * Default: whether `AUTH_URL`, else `NEXTAUTH_URL`, is https. With neither set: the `__Secure-` cookie if the request has one,
   * else the plain one, but only the `__Secure-` cookie when `NODE_ENV` is `production`.
   */
  secureCookie?: boolean
  /**
   * `postgres://user:password@host:port/database?sslmode=...`, also with several hosts; docs/configuration.md has the parameters.
   * Default: `DATABASE_URL`, else libpq's variables: `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE`, `PGSSLMODE`, ...
   */
  databaseUrl?: string
  /** What the URL can't say about TLS. */
  tls?: {
    /**
     * Certificates of the authorities to trust, and no others, as PEM. Without an `sslmode` in the URL, or with `verify-full`,
     * the server must have a certificate of theirs for its host name.
     */
    ca?: string | string[]
  }
  /**
   * Whether statements are prepared once on each connection. Set it to false behind a pooler in transaction mode, such as
   * PgBouncer: then each query goes by itself, in one round trip, and no setting of the connection is changed.
   * Default: true, unless the URL says `pgbouncer=true`.
   */
  preparedStatements?: boolean
  /**
   * Whether each query must be about one tenant, so that a distributed database, such as Citus, asks one shard for it. Else calls
   * of several tenants share a query, which is faster where there is one server. Default: false.
   */
  sharded?: boolean
  /**
   * Let a session live on when its row's `expires_at` has passed, so that only the token's own expiry and a revocation end it.
   * Default: false.
   */
  ignoreExpiresAt?: boolean
  /** How long one attempt to connect, to one address, may take, in ms. Default: `connect_timeout` of the URL, else 5000. */
  connectTimeout?: number
  /** How long one query may take, in ms; the server is told the same. Default: 5000. */
  queryTimeout?: number
  /** How long a call may take as a whole, in ms, whatever it waits for: it rejects then. Default: 10000. */
  callTimeout?: number
  /** How many connections there are at most; they are made when they are needed. Default: `connection_limit` of the URL, else 10. */
  maxConnections?: number
  /** How many calls wait for a query at most: more are rejected at once. Default: 10000. */
  maxWaiting?: number
}

/** A session cookie of an own name. */
export interface SessionCookie {
  /** The cookie's whole name. */
  name: string
  /**
   * Who encrypts it: `authjs` is Auth.js, which is next-auth 5; `next-auth-v4` is next-auth 4.
   * Default: `next-auth-v4` for `next-auth.session-token` and `__Secure-next-auth.session-token`, `authjs` for all others.
   */
  issuer?: 'authjs' | 'next-auth-v4'
}

/**
 * What `explainSession` says: the verdict of `getSession`, which is `authenticated` where it gives a session, `unauthenticated`
 * where it gives `{}` and `unavailable` where it rejects, with the reason and its details. Tell them apart by `reason`;
 * docs/how-a-request-is-decided.md says what to do for each. Times are ISO 8601 in UTC, null where there is no such time or it
 * can't be read.
 */
export type SessionExplanation =
  | LiveSession
  | RefusedRequest
  | RefusedCookie
  | RefusedSession
  /** The database can't be asked; `getSession` rejects with the same code. */
  | {
      status: 'unavailable'
      reason: 'database-unavailable'
      code: 'ERR_AUTH_BRIDGE_DATABASE' | 'ERR_AUTH_BRIDGE_TIMEOUT'
      message: string
      cookie: FoundCookie
      session: ClaimedSession
    }

/** The session lives. */
export interface LiveSession {
  status: 'authenticated'
  reason: 'live'
  cookie: FoundCookie
  session: ClaimedSession
}

/** There is no cookie to read. */
export type RefusedRequest = { status: 'unauthenticated' } & (
  | {
      reason: 'no-cookie'
      /** The names that count, in order of preference. */
      expected: string[]
      /** Cookies whose names are almost one of those, ten at most. */
      nearMisses: NearMiss[]
    }
  /** The header has more than `limit` bytes. */
  | { reason: 'header-too-large'; bytes: number; limit: number }
)

/** A session cookie that is there, but doesn't count. */
export type RefusedCookie = { status: 'unauthenticated'; cookie: FoundCookie } & (
  | { reason: 'empty-cookie' }
  /** A chunk is missing before others that are there. */
  | { reason: 'chunk-gap'; missing: number }
  /** The token opens without the last chunks, which are left from a longer one. */
  | { reason: 'stale-chunks'; stale: number[] }
  /** The token has more than `limit` bytes. */
  | { reason: 'token-too-large'; bytes: number; limit: number }
  /** Not a compact JWE. */
  | { reason: 'malformed-token' }
  /** Fields of the token's header that Auth.js doesn't write so. */
  | { reason: 'unsupported-header'; fields: ('alg' | 'enc' | 'crit' | 'zip' | 'iss' | 'sub' | 'aud')[] }
  /** The token's `kid`, null if it is no thumbprint, and those of the secrets, newest first; shortened to eight characters. */
  | { reason: 'no-matching-secret'; kid: string | null; secrets: { index: number; kid: string }[] }
  /** All that is wrong from the tag on: another secret, or a token that was changed or cut. */
  | { reason: 'undecryptable' }
  /** The claims are no JSON object (null), or this one is no number. */
  | { reason: 'malformed-claims'; claim: 'exp' | 'nbf' | 'iat' | null }
  /** Claims that are absent or not what they must be. */
  | { reason: 'missing-claims'; claims: ('exp' | 'session_id' | 'tenant' | 'id' | 'user_type')[] }
  | { reason: 'token-expired'; expiredAt: string | null; secondsAgo: number }
  | { reason: 'token-not-yet-valid'; validFrom: string | null; secondsToGo: number }
)

/** A good token, whose session the database doesn't confirm. */
export type RefusedSession = {
  status: 'unauthenticated'
  cookie: FoundCookie
  session: ClaimedSession
} /** No such session in this tenant. */ & (
  | { reason: 'session-unknown' }
  | { reason: 'session-revoked'; revokedAt: string | null; revokedReason: string | null }
  | { reason: 'session-expired'; expiredAt: string | null }
  /** The session is another user's. */
  | { reason: 'user-mismatch'; sessionUserId: string | null }
  /** The session's user doesn't exist in this tenant. */
  | { reason: 'user-gone' }
  /** `from` is what the token says, `to` what the database says. */
  | { reason: 'user-type-changed'; from: 'client' | 'internal'; to: string }
)

/** A cookie whose name is almost the session cookie's. */
export interface NearMiss {
  name: string
  /** In what it differs from the first name that counts: `__Secure-` or none, `authjs` or `next-auth`, `.3000` or none. */
  differs: ('prefix' | 'issuer' | 'suffix')[]
}

/** The session cookie of a request. */
export interface FoundCookie {
  name: string
  /** Whether it is there in one piece. */
  whole: boolean
  /** Which chunks are there: `[0, 1]` for `name.0` and `name.1`. */
  chunks: number[]
}

/** The session that a token says it is. */
export interface ClaimedSession {
  sessionId: string
  tenant: string
  userId: string
  userType: 'client' | 'internal'
  tokenExpiresAt: string | null
}

/** What `stats` tells: counts since the bridge was made, and how things are now. */
export interface BridgeStats {
  /** Calls of `getSession` and `getSessionJson` by their end, and those that have none yet. */
  calls: { authenticated: number; unauthenticated: number; failed: number; pending: number }
  /** Why calls were unauthenticated: how often each reason, also those that never occurred. */
  reasons: Record<RefusalReason, number>
  /** With what calls failed: how often each code, also those that never occurred. */
  errors: Record<Exclude<ErrorCode, 'ERR_AUTH_BRIDGE_CONFIG'>, number>
  /** How long calls took that asked the database, in ms, from the call until the answer is handed to JavaScript. */
  latency: Distribution
  /** How many different sessions the queries were for. */
  batches: Distribution
  /** The connections, of all bridges with the same options together. */
  pool: {
    /** How many there are at most. */
    max: number
    /** How many there are. */
    size: number
    /** How many are in use. */
    inUse: number
    /** How many queries wait for one. */
    waiting: number
    /** How many were made so far. */
    connects: number
    /** How often none could be made. */
    connectFailures: number
  }
}

/** The reasons of `explainSession` that `getSession` tells apart. */
export type RefusalReason = Exclude<
  SessionExplanation['reason'],
  'live' | 'database-unavailable' | 'chunk-gap' | 'stale-chunks'
>

/** Values that were measured, in buckets: quantiles are right to an eighth. All are 0 while there is no value. */
export interface Distribution {
  count: number
  sum: number
  max: number
  p50: number
  p95: number
  p99: number
  /** How many values are at most `le`, for growing `le`: cumulative, as in a histogram of Prometheus. */
  buckets: { le: number; count: number }[]
}

/** What `health` tells of a database that answers. */
export interface BridgeHealth {
  /** How long the session query took, there and back, in ms. */
  milliseconds: number
}

/** What `versions` tells. `docs/supply-chain.md` says where all the others stand. */
export interface BridgeVersions {
  /** Version of this package's native part. */
  authjsBridge: string
  /** Version of the OpenSSL that is linked in, which is not that of `process.versions.openssl`. */
  openssl: string
}

/** The `code` of every error that this package throws or rejects with. */
export type ErrorCode =
  /** An option or an environment variable is missing or wrong; the message names it. */
  | 'ERR_AUTH_BRIDGE_CONFIG'
  /** The database can't be reached, or refuses the query. */
  | 'ERR_AUTH_BRIDGE_DATABASE'
  /** The database took too long. */
  | 'ERR_AUTH_BRIDGE_TIMEOUT'
  /** `close()` was called before. */
  | 'ERR_AUTH_BRIDGE_CLOSED'
  /** A bug in this package. */
  | 'ERR_AUTH_BRIDGE_INTERNAL'

/** What a promise of this package rejects with. */
export interface AuthBridgeError extends Error {
  code: ErrorCode
}

/**
 * Which binding artifact the generated loader actually loaded: `'native'` for
 * a native addon, otherwise the `platformArchABI` of the WASI flavor. Every
 * flavor napi-rs can build is listed, because `NAPI_RS_NATIVE_LIBRARY_PATH`
 * can point the loader at a WASI artifact this package does not build itself.
 */
export declare const __napiBindingTarget: 'native' | 'wasm32-wasi' | 'wasm32-wasip1'

/** Reads sessions with options of its own, and its own connections to the database. */
export declare class AuthBridge {
  /**
   * Connects to nothing yet: the first lookup does.
   *
   * @param options What is left out comes from the environment.
   * @throws {AuthBridgeError} `ERR_AUTH_BRIDGE_CONFIG`, with a message that names the option or the variable.
   */
  constructor(options?: AuthBridgeOptions)
  /**
   * Reads the session of a request.
   *
   * @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
   * @returns The body of `GET /api/auth/session`: the session, or `{}` when the request is unauthenticated.
   * @throws {AuthBridgeError} Rejects when the database can't be asked or this bridge is closed; never for what a client sent.
   */
  getSession(cookieHeader?: string | null): Promise<AuthSessionResponse>
  /**
   * The same as `getSession`, but as text: for a handler that forwards the body without looking into it.
   *
   * @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
   * @returns What `JSON.stringify` makes of `getSession`'s answer: the session, or `{}` when the request is unauthenticated.
   * @throws {AuthBridgeError} Rejects when the database can't be asked or this bridge is closed; never for what a client sent.
   */
  getSessionJson(cookieHeader?: string | null): Promise<string>
  /**
   * Says why a request has or has no session, for the developer: never send it to a client.
   *
   * @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
   * @returns The verdict of `getSession`, its reason, and the details that help.
   * @throws {AuthBridgeError} Rejects when this bridge is closed; never for what a client sent, nor for a database that can't be asked.
   */
  explainSession(cookieHeader?: string | null): Promise<SessionExplanation>
  /**
   * What this bridge has done since it was made, and its connections as they are now. Counted as it goes, so it costs
   * little to ask.
   */
  stats(): BridgeStats
  /**
   * Runs the session query for a session that doesn't exist, and returns the round-trip time in ms.
   *
   * @returns The round-trip time.
   * @throws {AuthBridgeError} Rejects as `getSession` would when the database can't be asked or this bridge is closed.
   */
  health(): Promise<BridgeHealth>
  /**
   * Refuses further calls with `ERR_AUTH_BRIDGE_CLOSED`, waits for the answers of those in flight, no longer than
   * `callTimeout`, and ends every connection that no other bridge uses. A second call does nothing.
   */
  close(): Promise<void>
}

/**
 * The bridge behind the module's own `getSession`, for its `stats`, `health` and `close`.
 *
 * @throws {AuthBridgeError} `ERR_AUTH_BRIDGE_CONFIG` when the environment's configuration is wrong or not complete.
 */
export declare function defaultBridge(): AuthBridge

/**
 * Says why a request has or has no session, for the developer: never send it to a client. It goes
 * the same way as `getSession`, and shows ids and times, but no secret, token, e-mail address or name.
 *
 * @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
 * @returns The verdict of `getSession`, its reason, and the details that help.
 * @throws {AuthBridgeError} Rejects when the configuration is wrong; never for what a client sent, nor for a database that can't be asked.
 */
export declare function explainSession(cookieHeader?: string | null): Promise<SessionExplanation>

/**
 * Reads the session of a request, with the configuration of the environment: `AUTH_SECRET`,
 * `AUTH_URL`, `DATABASE_URL` and others, read at the first call that needs them.
 *
 * @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
 * @returns The body of `GET /api/auth/session`: the session, or `{}` when the request is unauthenticated.
 * @throws {AuthBridgeError} Rejects when the configuration is wrong or the database can't be asked; never for what a client sent.
 */
export declare function getSession(cookieHeader?: string | null): Promise<AuthSessionResponse>

/**
 * The same as `getSession`, but as text: for a handler that forwards the body without looking into it.
 *
 * @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
 * @returns What `JSON.stringify` makes of `getSession`'s answer: the session, or `{}` when the request is unauthenticated.
 * @throws {AuthBridgeError} Rejects when the configuration is wrong or the database can't be asked; never for what a client sent.
 */
export declare function getSessionJson(cookieHeader?: string | null): Promise<string>

/** What the native part is built of, to compare with a security advisory. Needs no configuration. */
export declare function versions(): BridgeVersions
