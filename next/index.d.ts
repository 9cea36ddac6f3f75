import type { AuthBridge, AuthSession } from '../index.js'

export interface SessionRouteOptions {
  /** Reads the sessions. Default: one made from the environment, that of the module's own `getSession`. */
  bridge?: Pick<AuthBridge, 'getSessionJson'>
  /**
   * The body for a request without a session: `empty` is `{}`, which NextAuth v4's client takes for signed out;
   * `null` is `null`, as `useSession` of Auth.js v5 needs it, which takes any object for a session.
   * Default: `empty`.
   */
  unauthenticated?: 'empty' | 'null'
}

export interface SessionRoute {
  GET: (request: Request) => Promise<Response>
}

/**
 * The handler of `app/api/auth/session/route.ts`: `export const { GET } = createSessionRoute()`. It answers 200 with the
 * session or `{}`, or 500 with `{"error":"failed_to_get_session"}` when the database can't be asked, and logs why.
 *
 * @throws {AuthBridgeError} `ERR_AUTH_BRIDGE_CONFIG`, with a message that names the option.
 */
export declare function createSessionRoute(options?: SessionRouteOptions): SessionRoute

export interface AuthOptions {
  /** Reads the sessions. Default: one made from the environment, that of the module's own `getSession`. */
  bridge?: Pick<AuthBridge, 'getSession'>
}

/**
 * Makes an `auth` that reads sessions with a bridge of your own.
 *
 * @throws {AuthBridgeError} `ERR_AUTH_BRIDGE_CONFIG`, with a message that names the option.
 */
export declare function createAuth(options?: AuthOptions): () => Promise<AuthSession | null>

/**
 * The session of the current request, or null: for server components, server actions and route handlers. While a page
 * renders it asks once, however often it is called; an action or a route handler asks at each call.
 *
 * @throws {AuthBridgeError} Rejects when the configuration is wrong or the database can't be asked; never for what a client sent.
 */
export declare const auth: () => Promise<AuthSession | null>
