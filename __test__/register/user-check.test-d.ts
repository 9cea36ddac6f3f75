import type { AuthSession, AuthSessionUser, ClaimedSession, SessionExplanation } from 'authjs-bridge'
import { expectTypeOf } from 'vitest'

declare module 'authjs-bridge' {
  interface Register {
    userCheck: 'none'
  }
}

type UserType = 'client' | 'internal'
expectTypeOf<Pick<AuthSessionUser, 'tenant' | 'user_type'>>().toEqualTypeOf<{ tenant: string; user_type?: UserType }>()
expectTypeOf<AuthSession>().not.toHaveProperty('expires')
expectTypeOf<ClaimedSession>().toEqualTypeOf<{
  sessionId: string
  tenant: string
  userId: string
  userType?: UserType
  tokenExpiresAt: string | null
}>()
type UserTypeChanged = Extract<SessionExplanation, { reason: 'user-type-changed' }>
expectTypeOf<UserTypeChanged['from']>().toEqualTypeOf<UserType>()
