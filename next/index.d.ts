import type { NextRequest, NextResponse } from 'next/server'
import type { AuthBridge, AuthBridgeOptions, AuthSession, ClaimChanges } from '../index.js'

/** The methods of an `AuthBridge` that `createSessions` uses. */
export type SessionsBridge = Pick<AuthBridge, 'getSession' | 'getSessionJson' | 'refreshSession' | 'updateSession'>

/** Options of `createSessions` that are not those of a bridge. All are for `proxy`. */
export interface ProxyOptions {
  /**
   * Decides who may go on to a page, as in Auth.js: true goes on; false or undefined redirects to `signInPage`; a `Response` is
   * returned instead, with the session's cookies. It is not asked below `basePath`, and with false or undefined the sign-in page
   * itself is shown. `request` has the cookies that the browser is about to have.
   *
   * With it, `proxy` answers 503 with `Retry-After` when the session can't be checked. Without it the request goes on, and
   * `auth()` of the page decides. Any other value is an error of the code `ERR_AUTH_BRIDGE_CONFIG`.
   */
  authorized?: (params: {
    /** The session, or null if there is none. */
    session: AuthSession | null
    request: NextRequest
  }) => boolean | Response | undefined | Promise<boolean | Response | undefined>
  /**
   * Where to sign in. It gets the path and the query of the page as `callbackUrl`. A path without Next.js's own `basePath`.
   * Default: that of Auth.js, which is `/signin` below `basePath`.
   */
  signInPage?: string
  /**
   * Where the routes of Auth.js are, which `proxy` lets through untouched: the path of `[...nextauth]` in `app`, without Next.js's
   * own `basePath`. Default: `/api/auth`.
   */
  basePath?: string
}

/**
 * Options of `createSessions`: those of `new AuthBridge(options)`, from which a bridge is made; or `bridge`, an `AuthBridge` of
 * your own. With neither, the bridge is used that `getSession` uses, configured by the environment.
 */
export type SessionsOptions = ProxyOptions &
  (
    | (AuthBridgeOptions & { bridge?: never })
    | ({ bridge: SessionsBridge } & { [Option in keyof AuthBridgeOptions]?: never })
  )

/** Options of `route`. */
export interface RouteOptions {
  /**
   * Whether a request keeps the session alive, as `proxy` does. Only where something else than the client of Auth.js asks: that asks
   * by itself, also in a tab that nobody looks at. Default: false.
   */
  rolling?: boolean
  /**
   * The body for a request without a session. `empty`: `{}`, which the client of NextAuth v4 treats as signed out.
   * `null`: `null`, for `useSession` of Auth.js v5, which treats any object as a session. Default: `empty`.
   */
  unauthenticated?: 'empty' | 'null'
}

/** The handlers of a route. Next.js makes HEAD from GET. */
export interface SessionRoute {
  GET: (request: Request) => Promise<Response>
}

/** What `createSessions` returns. Each can be used by itself. */
export interface Sessions {
  /**
   * Returns the session of the current request, or null if there is none. For server components, server actions and route
   * handlers. While a page renders, all calls share one query to the database. In an action or a route handler, each call
   * queries the database. Cookies that were set by `cookies()` in the same request count.
   *
   * @throws {AuthBridgeError} Rejects if the configuration is wrong or the database can't be queried. Nothing that a client
   * sends makes it reject.
   */
  auth: () => Promise<AuthSession | null>
  /**
   * Keeps sessions alive while they are used, and decides with `authorized` who may go on. For `proxy.ts` of Next.js 16:
   * `export { proxy } from '@/sessions'`. For `middleware.ts` of 15.5: import it, write `export const middleware = proxy`, and
   * `runtime: 'nodejs'` in its `config`.
   *
   * A GET or HEAD of a session that is due gets a new cookie, which also the page of the same request sees. Prefetches, and other
   * methods, only read. A response with a cookie is not cacheable.
   */
  proxy: (request: NextRequest) => Promise<NextResponse>
  /**
   * Creates the handler for `app/api/auth/session/route.ts`: `export const { GET } = route()`. It responds with 200 and the session
   * or `{}`. If the session can't be read, for example because the database is down, it responds with 500 and
   * `{"error":"failed_to_get_session"}`, and logs the cause.
   *
   * @throws {AuthBridgeError} `ERR_AUTH_BRIDGE_CONFIG` for an unknown or wrong option; the message names it.
   */
  route: (options?: RouteOptions) => SessionRoute
  /**
   * Changes claims of the session's token, and sets the new cookie. For server actions and route handlers; the page that is rendered
   * after the action sees the new claims. Resolves to the session, or to null if there is none; then nothing is changed. A route
   * handler has to send `Cache-Control: no-store` itself.
   *
   * @throws {AuthBridgeError} Rejects as `updateSession` does.
   */
  update: (claims: ClaimChanges) => Promise<AuthSession | null>
  /**
   * Sets cookies by `cookies()` of Next.js, from whole values of `Set-Cookie`, such as `setCookie` of `refreshSession`. For server
   * actions and route handlers. A cookie that the browser has already, with the same value, is not set again, since each cookie that
   * an action sets empties the router's cache.
   *
   * @throws {AuthBridgeError} Rejects with `ERR_AUTH_BRIDGE_ARGUMENT` if a line has no name.
   */
  setCookies: (lines: string[]) => Promise<void>
}

/**
 * Creates what an app needs to use sessions, in one file of its own:
 *
 * ```ts
 * // sessions.ts
 * export const { auth, proxy, route, update, setCookies } = createSessions({ signInPage: '/signin' })
 * ```
 *
 * Options are checked at once. The environment is read, and the database connected, at the first request.
 *
 * @throws {AuthBridgeError} `ERR_AUTH_BRIDGE_CONFIG` for an unknown or wrong option; the message names it.
 */
export declare function createSessions(options?: SessionsOptions): Sessions

/** `auth` of `createSessions()`, configured by the environment. */
export declare const auth: Sessions['auth']
/** `proxy` of `createSessions()`, configured by the environment. */
export declare const proxy: Sessions['proxy']
/** `route` of `createSessions()`, configured by the environment. */
export declare const route: Sessions['route']
/** `update` of `createSessions()`, configured by the environment. */
export declare const update: Sessions['update']
/** `setCookies` of `createSessions()`. */
export declare const setCookies: Sessions['setCookies']
