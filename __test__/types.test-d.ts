// Checked by `tsc --project __test__`; nothing here runs.

import type { NextRequest, NextResponse } from 'next/server'
import { expectTypeOf } from 'vitest'
import {
  AuthBridge,
  type AuthBridgeError,
  type AuthBridgeOptions,
  type AuthSession,
  type AuthSessionResponse,
  type AuthSessionUser,
  type BridgeHealth,
  type BridgeStats,
  type BridgeVersions,
  type ClaimChanges,
  defaultBridge,
  type ErrorCode,
  explainSession,
  getSession,
  getSessionJson,
  type RefreshedSession,
  type RefreshOptions,
  refreshSession,
  type SessionCookie,
  type SessionExplanation,
  type UnauthenticatedSession,
  type UpdatedSession,
  updateSession,
  versions,
} from '../index.js'
import {
  auth,
  createSessions,
  proxy,
  type RouteOptions,
  route,
  type SessionRoute,
  type Sessions,
  type SessionsBridge,
  type SessionsOptions,
  setCookies,
  update,
} from '../next/index.js'

// None of the exported types is `any`, for which all tests would pass.
expectTypeOf<AuthSessionResponse>().not.toBeAny()
expectTypeOf<AuthSession>().not.toBeAny()
expectTypeOf<AuthSessionUser>().not.toBeAny()
expectTypeOf<AuthBridgeOptions>().not.toBeAny()
expectTypeOf<AuthBridgeError>().not.toBeAny()
expectTypeOf<ErrorCode>().not.toBeAny()
expectTypeOf<SessionExplanation>().not.toBeAny()
expectTypeOf<BridgeStats>().not.toBeAny()
expectTypeOf<BridgeHealth>().not.toBeAny()
expectTypeOf<BridgeVersions>().not.toBeAny()
expectTypeOf(getSession).not.toBeAny()
expectTypeOf(getSessionJson).not.toBeAny()
expectTypeOf(explainSession).not.toBeAny()
expectTypeOf(refreshSession).not.toBeAny()
expectTypeOf<RefreshedSession>().not.toBeAny()
expectTypeOf<RefreshOptions>().not.toBeAny()
expectTypeOf(AuthBridge).not.toBeAny()
expectTypeOf<ClaimChanges>().not.toBeAny()
expectTypeOf<NextRequest>().not.toBeAny()
expectTypeOf<NextResponse>().not.toBeAny()

// The call.
expectTypeOf(getSession).parameters.toEqualTypeOf<[cookieHeader?: string | null]>()
expectTypeOf(getSession).returns.toEqualTypeOf<Promise<AuthSessionResponse>>()
expectTypeOf(getSessionJson).returns.toEqualTypeOf<Promise<string>>()
expectTypeOf(getSessionJson).parameters.toEqualTypeOf<[cookieHeader?: string | null]>()
expectTypeOf<AuthBridge['getSessionJson']>().toEqualTypeOf<typeof getSessionJson>()
expectTypeOf<AuthBridge['getSession']>().toEqualTypeOf<typeof getSession>()
expectTypeOf(explainSession).parameters.toEqualTypeOf<[cookieHeader?: string | null]>()
expectTypeOf(explainSession).returns.toEqualTypeOf<Promise<SessionExplanation>>()
expectTypeOf<AuthBridge['explainSession']>().toEqualTypeOf<typeof explainSession>()
expectTypeOf<AuthBridge['close']>().toEqualTypeOf<() => Promise<void>>()
expectTypeOf(AuthBridge).constructorParameters.toEqualTypeOf<[options?: AuthBridgeOptions]>()
expectTypeOf(refreshSession).parameters.toEqualTypeOf<[cookieHeader?: string | null, options?: RefreshOptions]>()
expectTypeOf(refreshSession).returns.toEqualTypeOf<Promise<RefreshedSession>>()
expectTypeOf<AuthBridge['refreshSession']>().toEqualTypeOf<typeof refreshSession>()
expectTypeOf(updateSession).parameters.toEqualTypeOf<
  [cookieHeader: string | null | undefined, claims: Record<string, unknown>]
>()
expectTypeOf(updateSession).returns.toEqualTypeOf<Promise<UpdatedSession>>()
expectTypeOf<AuthBridge['updateSession']>().toEqualTypeOf<typeof updateSession>()
expectTypeOf<RefreshedSession>().toEqualTypeOf<{
  session: AuthSessionResponse
  setCookie: string[]
  cookieHeader: string
}>()
expectTypeOf<UpdatedSession>().toExtend<RefreshedSession & { updated: boolean }>()
refreshSession(null, { claims: (session) => ({ plan: session.user.plan }) })
refreshSession(null, { claims: async () => ({ plan: null }) })
// @ts-expect-error an object of claims
updateSession(null, 'plan')
getSession(new Request('http://localhost').headers.get('cookie'))
// @ts-expect-error the header, not the headers
getSession(new Headers())
// @ts-expect-error no such option
new AuthBridge({ secrets: 'x' })

// The object, field by field.
// register.spec.ts tests what an app changes by `Register`.
expectTypeOf<AuthSessionResponse>().toEqualTypeOf<AuthSession | UnauthenticatedSession>()
expectTypeOf<AuthSession>().toEqualTypeOf<{
  session_id: string
  login_method?: string
  user: AuthSessionUser
}>()
expectTypeOf<AuthSessionUser>().toEqualTypeOf<{
  id: string
  email: string
  name: string
  username: string
  image?: string
  proToken?: string
  tenantSlug?: string
  plan?: string
  tenant: string
  user_type: 'client' | 'internal'
  clientId?: string
  contactId?: string
  addons: string[]
  trial_end: string | null
  solo_pro_trial_end: string | null
  premium_trial_end: string | null
  premium_trial_effective_date: string | null
  premium_trial_confirmed: boolean
  subscription_status: 'active' | 'trialing' | 'past_due' | 'unpaid' | null
}>()

// The empty object must be dealt with, and one `if` does.
const session = await getSession()
expectTypeOf(session.user).toEqualTypeOf<AuthSessionUser | undefined>()
// @ts-expect-error may be unauthenticated
session.user.id
if (session.user) {
  expectTypeOf(session).toEqualTypeOf<AuthSession>()
  expectTypeOf(session.session_id).toEqualTypeOf<string>()
} else {
  expectTypeOf(session).toEqualTypeOf<UnauthenticatedSession>()
}
expectTypeOf<Record<never, never>>().toExtend<AuthSessionResponse>()

// The explanation: the reason tells the details, and the status.
const explanation = await explainSession()
expectTypeOf(explanation.status).toEqualTypeOf<'authenticated' | 'unauthenticated' | 'unavailable'>()
// @ts-expect-error only for a revoked session
explanation.revokedAt
if (explanation.reason === 'session-revoked') {
  expectTypeOf(explanation.status).toEqualTypeOf<'unauthenticated'>()
  expectTypeOf(explanation.revokedAt).toEqualTypeOf<string | null>()
  expectTypeOf(explanation.session.sessionId).toEqualTypeOf<string>()
}
if (explanation.status === 'authenticated') {
  expectTypeOf(explanation.extraClaims).toEqualTypeOf<string[] | undefined>()
  expectTypeOf(explanation.freshClaims).toEqualTypeOf<string[] | undefined>()
}
if (explanation.status === 'unavailable') expectTypeOf(explanation.code).toExtend<ErrorCode>()

// Options and errors.
expectTypeOf<AuthBridgeOptions>().toEqualTypeOf<{
  secret?: string | string[]
  cookieName?: string | SessionCookie | (string | SessionCookie)[]
  secureCookie?: boolean
  databaseUrl?: string
  password?: string | (() => string | Promise<string>)
  tls?: { ca?: string | string[] }
  preparedStatements?: boolean
  sharded?: boolean
  ignoreExpiresAt?: boolean
  tables?: { sessions?: string; users?: string }
  multiTenant?: boolean
  userCheck?: 'type' | 'exists' | 'none'
  extraClaims?: string[]
  freshClaims?: string[]
  expires?: boolean
  maxAge?: number
  absoluteMaxAge?: number
  updateAge?: number
  cookie?: {
    domain?: string
    path?: string
    sameSite?: 'lax' | 'strict' | 'none'
    secure?: boolean
    partitioned?: boolean
  }
  migrateCookies?: boolean
  connectTimeout?: number
  queryTimeout?: number
  callTimeout?: number
  maxConnections?: number
  maxLifetime?: number
  idleTimeout?: number
  maxWaiting?: number
  maxStaleness?: number
  maxCached?: number
  listen?: boolean
  listenUrl?: string
}>()
expectTypeOf<SessionCookie>().toEqualTypeOf<{ name: string; issuer?: 'authjs' | 'next-auth-v4' }>()
expectTypeOf<ErrorCode>().toEqualTypeOf<
  | 'ERR_AUTH_BRIDGE_CONFIG'
  | 'ERR_AUTH_BRIDGE_ARGUMENT'
  | 'ERR_AUTH_BRIDGE_DATABASE'
  | 'ERR_AUTH_BRIDGE_TIMEOUT'
  | 'ERR_AUTH_BRIDGE_READ_ONLY'
  | 'ERR_AUTH_BRIDGE_OUTCOME_UNKNOWN'
  | 'ERR_AUTH_BRIDGE_TOO_MANY_SESSIONS'
  | 'ERR_AUTH_BRIDGE_CLOSED'
  | 'ERR_AUTH_BRIDGE_INTERNAL'
>()

// Statistics and health.
const stats = new AuthBridge().stats()
expectTypeOf(stats).toEqualTypeOf<BridgeStats>()
expectTypeOf(stats.calls.pending).toEqualTypeOf<number>()
expectTypeOf(stats.reasons['session-revoked']).toEqualTypeOf<number>()
expectTypeOf(stats.errors.ERR_AUTH_BRIDGE_TIMEOUT).toEqualTypeOf<number>()
// @ts-expect-error the constructor throws this code, no call rejects with it
stats.errors.ERR_AUTH_BRIDGE_CONFIG
// @ts-expect-error a wrong argument is not counted
stats.errors.ERR_AUTH_BRIDGE_ARGUMENT
expectTypeOf(stats.rolls).toEqualTypeOf<{ issued: number; held: number; refused: number; tooLarge: number }>()
expectTypeOf(stats.latency.buckets).toEqualTypeOf<{ le: number; count: number }[]>()
expectTypeOf(defaultBridge()).toEqualTypeOf<AuthBridge>()
expectTypeOf(defaultBridge().health()).toEqualTypeOf<Promise<BridgeHealth>>()
expectTypeOf(versions).toEqualTypeOf<() => BridgeVersions>()
expectTypeOf<BridgeVersions>().toEqualTypeOf<{ authjsBridge: string; openssl: string }>()
expectTypeOf<AuthBridgeError>().toExtend<Error>()
expectTypeOf<AuthBridgeError['code']>().toEqualTypeOf<ErrorCode>()

// The entry for Next.js.
expectTypeOf(auth).not.toBeAny()
expectTypeOf(proxy).not.toBeAny()
expectTypeOf(route).not.toBeAny()
expectTypeOf(update).not.toBeAny()
expectTypeOf(setCookies).not.toBeAny()
expectTypeOf<SessionsOptions>().not.toBeAny()
expectTypeOf<SessionsBridge>().not.toBeAny()
expectTypeOf(createSessions).toEqualTypeOf<(options?: SessionsOptions) => Sessions>()
expectTypeOf({ auth, proxy, route, update, setCookies }).toEqualTypeOf<Sessions>()
expectTypeOf(auth).toEqualTypeOf<() => Promise<AuthSession | null>>()
expectTypeOf(proxy).toEqualTypeOf<(request: NextRequest) => Promise<NextResponse>>()
expectTypeOf(route).toEqualTypeOf<(options?: RouteOptions) => SessionRoute>()
expectTypeOf(update).toEqualTypeOf<(claims: ClaimChanges) => Promise<AuthSession | null>>()
expectTypeOf(setCookies).toEqualTypeOf<(lines: string[]) => Promise<void>>()
expectTypeOf<SessionRoute>().toEqualTypeOf<{ GET: (request: Request) => Promise<Response> }>()
expectTypeOf<RouteOptions>().toEqualTypeOf<{ rolling?: boolean; unauthenticated?: 'empty' | 'null' }>()
createSessions({ bridge: new AuthBridge(), signInPage: '/signin' }).route({ unauthenticated: 'null', rolling: true })
createSessions({
  maxAge: 3600,
  extraClaims: ['product_code'],
  basePath: '/auth',
  authorized({ session, request }) {
    expectTypeOf(session).toEqualTypeOf<AuthSession | null>()
    expectTypeOf(request).toEqualTypeOf<NextRequest>()
    if (request.nextUrl.pathname === '/signin') return session ? Response.redirect('http://localhost/') : true
    return session !== null
  },
})
createSessions({ authorized: async ({ session }) => session?.user.user_type === 'internal' })
createSessions({ authorized() {} })
// @ts-expect-error a session is not a decision
createSessions({ authorized: ({ session }) => session })
// @ts-expect-error the bridge has its own options
createSessions({ bridge: new AuthBridge(), maxAge: 3600 })
// @ts-expect-error lacks methods
createSessions({ bridge: { getSession } })
// @ts-expect-error an option of route
createSessions({ unauthenticated: 'null' })
// @ts-expect-error the string 'null', not null
route({ unauthenticated: null })
// @ts-expect-error an option of createSessions
route({ bridge: new AuthBridge() })
