import {
  AuthBridge,
  type AuthSession,
  type AuthSessionResponse,
  type AuthSessionUser,
  type ClaimedSession,
  explainSession,
  getSession,
  type LiveSession,
  type SessionExplanation,
  type UnauthenticatedSession,
} from 'authjs-bridge'
import { auth, createSessions } from 'authjs-bridge/next'
import { expectTypeOf } from 'vitest'

declare module 'authjs-bridge' {
  interface Register {
    multiTenant: false
    userCheck: 'exists'
    expires: true
    extraClaims: { product_code?: string; limits?: { seats: number } }
  }
}

expectTypeOf<AuthSession>().not.toBeAny()
expectTypeOf<AuthSessionUser>().not.toBeAny()
expectTypeOf<ClaimedSession>().not.toBeAny()
expectTypeOf<SessionExplanation>().not.toBeAny()
expectTypeOf<UnauthenticatedSession>().not.toBeAny()
expectTypeOf(auth).not.toBeAny()

expectTypeOf<AuthSessionUser>().toEqualTypeOf<{
  id: string
  email: string
  name: string
  username: string
  image?: string
  proToken?: string
  tenantSlug?: string
  plan?: string
  user_type?: 'client' | 'internal'
  clientId?: string
  contactId?: string
  addons: string[]
  trial_end: string | null
  solo_pro_trial_end: string | null
  premium_trial_end: string | null
  premium_trial_effective_date: string | null
  premium_trial_confirmed: boolean
  subscription_status: 'active' | 'trialing' | 'past_due' | 'unpaid' | null
  product_code?: string
  limits?: { seats: number }
}>()
expectTypeOf<AuthSession>().toEqualTypeOf<{
  session_id: string
  login_method?: string
  user: AuthSessionUser
  expires: string
}>()
expectTypeOf<ClaimedSession>().toEqualTypeOf<{
  sessionId: string
  userId: string
  userType?: 'client' | 'internal'
  tokenExpiresAt: string | null
}>()

// Whatever reads a session has these types.
expectTypeOf(getSession).returns.resolves.toEqualTypeOf<AuthSessionResponse>()
expectTypeOf(auth).returns.resolves.toEqualTypeOf<AuthSession | null>()
expectTypeOf(createSessions().auth).toEqualTypeOf<typeof auth>()
createSessions({ bridge: new AuthBridge({ multiTenant: false, extraClaims: ['product_code'] }) })

const session = await getSession()
// @ts-expect-error may be unauthenticated
session.user.product_code
if (session.user) {
  expectTypeOf(session).toEqualTypeOf<AuthSession>()
  expectTypeOf(session.user.limits?.seats).toEqualTypeOf<number | undefined>()
  // @ts-expect-error there are no tenants
  session.user.tenant
} else {
  expectTypeOf(session).toEqualTypeOf<UnauthenticatedSession>()
}

const explanation = await explainSession()
if (explanation.status === 'authenticated') {
  expectTypeOf(explanation).toExtend<LiveSession>()
  expectTypeOf(explanation.extraClaims).toEqualTypeOf<string[] | undefined>()
  // @ts-expect-error there are no tenants
  explanation.session.tenant
}
