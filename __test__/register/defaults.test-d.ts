import type { AuthSession, AuthSessionUser, ClaimedSession } from 'authjs-bridge'
import { expectTypeOf } from 'vitest'

// What the options are by default, and what is not known to be another value, change nothing.
declare module 'authjs-bridge' {
  interface Register {
    multiTenant: boolean
    userCheck: 'type'
    expires: false
  }
}

expectTypeOf<Pick<AuthSessionUser, 'tenant' | 'user_type'>>().toEqualTypeOf<{
  tenant: string
  user_type: 'client' | 'internal'
}>()
expectTypeOf<ClaimedSession>().toEqualTypeOf<{
  sessionId: string
  tenant: string
  userId: string
  userType: 'client' | 'internal'
  tokenExpiresAt: string | null
}>()
expectTypeOf<AuthSession>().not.toHaveProperty('expires')
