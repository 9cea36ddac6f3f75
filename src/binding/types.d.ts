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
   * `postgres://user:password@host:port/database?sslmode=...`
   * Default: `DATABASE_URL`, else `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE`, `PGSSLMODE` and `PGSSLROOTCERT`.
   */
  databaseUrl?: string
  /**
   * Let a session live on when its row's `expires_at` has passed, so that only the token's own expiry and a revocation end it.
   * Default: false.
   */
  ignoreExpiresAt?: boolean
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
