import type { Account, Profile, User } from 'next-auth'
import type { JWT } from 'next-auth/jwt'
import type { AuthBridge } from '../index.js'

/** What `identify` gets. */
export interface SessionToIdentify {
  /** The claims of the token, as the app's own callback `jwt` returned them. */
  token: JWT
  /** Who signs in. Not when a session is adopted. */
  user?: User
  /** The account of the provider. Not when a session is adopted. */
  account?: Account | null
  /** What the provider says of the user. Only at a sign-in by OAuth. */
  profile?: Profile
}

/** The claims that say whose session a token is for. */
export interface SessionOwner {
  /** Id of the tenant. Not with the option `multiTenant: false` of the bridge. */
  tenant?: string | number
  /** Id of the user in the table of the users. Without it, the claim `sub` counts. */
  id?: string | number
  /** Of which type the user is. Only needed with the option `userCheck: 'type'` of the bridge, which is the default. */
  user_type?: 'client' | 'internal'
}

/** Options of `withSessions`. An unknown option is an error, and so is one that is given but undefined. */
export interface WithSessionsOptions {
  /** The bridge whose options count. Default: the one that `getSession` uses, configured by the environment. */
  bridge?: AuthBridge
  /**
   * Finds the claims `tenant`, `id` and `user_type` that the token lacks after the app's own callback `jwt`. Called only if one that is
   * needed is missing: at a sign-in, and when a session is adopted. What it returns is put into the token.
   *
   * If one is still missing, a sign-in fails with an error of the code `ERR_AUTH_BRIDGE_CONFIG` that names it; a session that is to be
   * adopted stays without a row.
   */
  identify?: (params: SessionToIdentify) => SessionOwner | null | undefined | Promise<SessionOwner | null | undefined>
  /**
   * Gives a row to sessions from before the app had any, so that nobody is signed out: to each token without `session_id` that was
   * issued before `until`, when Auth.js reads it next. Set it to a little later than the time of the deployment. Default: no session is
   * adopted.
   */
  adopt?: { until: Date }
  /** The most live sessions of a user, from 1 on. Default: no limit. */
  maxSessions?: number
  /**
   * What happens at a sign-in of a user who has `maxSessions`: `'revoke-oldest'` (default) ends those that were not active for longest,
   * `'refuse'` fails the sign-in with `ERR_AUTH_BRIDGE_TOO_MANY_SESSIONS`.
   */
  whenFull?: 'revoke-oldest' | 'refuse'
  /**
   * The header in which your proxy names the address of the client, such as `x-real-ip`. It is recorded as `ip_address`; of several
   * addresses the last. Anybody can send such a header, so name one only if your proxy always sets it. Default: no address is recorded.
   */
  trustedProxyHeader?: string
  /** The request of an API route of the Pages Router. Only with next-auth 4, and together with `res`. */
  req?: { headers: object }
  /** The response of the same API route. */
  res?: { appendHeader(name: string, value: string): unknown }
}

/**
 * Configures next-auth 5 or 4 so that each session has a row: it starts at a sign-in, lives on while Auth.js issues its token anew, and
 * ends at a sign-out. For `auth.ts`:
 *
 * ```ts
 * export const { handlers, auth, signIn, signOut } = NextAuth(withSessions({ providers: [GitHub] }))
 * ```
 *
 * `config` is the configuration, or the function that next-auth 5 takes in its place. Callbacks and events of the app run first.
 * `secret`, `session`, `jwt.maxAge` and `cookies.sessionToken` come from the options of the bridge.
 *
 * @throws {AuthBridgeError} `ERR_AUTH_BRIDGE_CONFIG` for a wrong option, and for a setting of `config` that contradicts the bridge; the
 * message names it. If the environment is not complete yet, as in `next build`, what depends on it is thrown at the first request.
 */
export declare function withSessions<Config extends object>(config: Config, options?: WithSessionsOptions): Config
