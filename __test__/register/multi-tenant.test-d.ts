import type { AuthSession, AuthSessionUser, ClaimedSession, UnauthenticatedSession } from 'authjs-bridge'
import { expectTypeOf } from 'vitest'

declare module 'authjs-bridge' {
  interface Register {
    multiTenant: false
  }
}

expectTypeOf<AuthSessionUser>().not.toHaveProperty('tenant')
expectTypeOf<AuthSessionUser['user_type']>().toEqualTypeOf<'client' | 'internal'>()
expectTypeOf<AuthSession>().toEqualTypeOf<{ session_id: string; login_method?: string; user: AuthSessionUser }>()
expectTypeOf<UnauthenticatedSession>().toEqualTypeOf<{ session_id?: never; login_method?: never; user?: never }>()
expectTypeOf<ClaimedSession>().toEqualTypeOf<{
  sessionId: string
  userId: string
  userType: 'client' | 'internal'
  tokenExpiresAt: string | null
}>()
