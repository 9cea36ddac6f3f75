import type { AuthBridge, AuthSession } from '../index.js'

export interface SessionRouteOptions {
  /** The bridge to read sessions with. Default: the one that `getSession` uses, configured by the environment. */
  bridge?: Pick<AuthBridge, 'getSessionJson'>
  /**
   * The body for a request without a session. `empty`: `{}`, which the client of NextAuth v4 treats as signed out.
   * `null`: `null`, for `useSession` of Auth.js v5, which treats any object as a session. Default: `empty`.
   */
  unauthenticated?: 'empty' | 'null'
}

export interface SessionRoute {
  GET: (request: Request) => Promise<Response>
}

/**
 * Creates the handler for `app/api/auth/session/route.ts`: `export const { GET } = createSessionRoute()`. It responds with
 * 200 and the session or `{}`. If the session can't be read, for example because the database is down, it responds with 500
 * and `{"error":"failed_to_get_session"}`, and logs the cause.
 *
 * @throws {AuthBridgeError} `ERR_AUTH_BRIDGE_CONFIG` for an unknown or wrong option; the message names it.
 */
export declare function createSessionRoute(options?: SessionRouteOptions): SessionRoute

export interface AuthOptions {
  /** The bridge to read sessions with. Default: the one that `getSession` uses, configured by the environment. */
  bridge?: Pick<AuthBridge, 'getSession'>
}

/**
 * Creates an `auth` that reads sessions with your own bridge.
 *
 * @throws {AuthBridgeError} `ERR_AUTH_BRIDGE_CONFIG` for an unknown or wrong option; the message names it.
 */
export declare function createAuth(options?: AuthOptions): () => Promise<AuthSession | null>

/**
 * Returns the session of the current request, or null if there is none. For server components, server actions and route
 * handlers. While a page renders, all calls share one query to the database. In an action or a route handler, each call
 * queries the database.
 *
 * @throws {AuthBridgeError} Rejects if the configuration is wrong or the database can't be queried. Nothing that a client
 * sends makes it reject.
 */
export declare const auth: () => Promise<AuthSession | null>
