import { type AuthSession, type AuthSessionUser, getSession, type UnauthenticatedSession } from 'authjs-bridge'
import { expectTypeOf } from 'vitest'

declare module 'authjs-bridge' {
  interface Register {
    expires: true
  }
}

expectTypeOf<AuthSession>().toEqualTypeOf<{
  session_id: string
  login_method?: string
  user: AuthSessionUser
  expires: string
}>()
expectTypeOf<UnauthenticatedSession>().toEqualTypeOf<{
  session_id?: never
  login_method?: never
  user?: never
  expires?: never
}>()
expectTypeOf<Pick<AuthSessionUser, 'tenant' | 'user_type'>>().toEqualTypeOf<{
  tenant: string
  user_type: 'client' | 'internal'
}>()
const session = await getSession()
expectTypeOf(session.expires).toEqualTypeOf<string | undefined>()
