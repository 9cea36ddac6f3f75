import type { AuthSession, AuthSessionUser } from 'authjs-bridge'
import { auth } from 'authjs-bridge/next'
import { expectTypeOf } from 'vitest'

interface Limits {
  seats: number
}

declare module 'authjs-bridge' {
  interface Register {
    extraClaims: { product_code?: string; limits?: Limits; manager?: AuthSessionUser }
  }
}

expectTypeOf<AuthSessionUser['product_code']>().toEqualTypeOf<string | undefined>()
expectTypeOf<AuthSessionUser['limits']>().toEqualTypeOf<Limits | undefined>()
expectTypeOf<AuthSessionUser['manager']>().toEqualTypeOf<AuthSessionUser | undefined>()
expectTypeOf<AuthSessionUser['plan']>().toEqualTypeOf<string | undefined>()
expectTypeOf<AuthSessionUser['user_type']>().toEqualTypeOf<'client' | 'internal'>()
expectTypeOf<AuthSessionUser['tenant']>().toEqualTypeOf<string>()
expectTypeOf<AuthSession>().not.toHaveProperty('expires')
const session = await auth()
expectTypeOf(session?.user.limits?.seats).toEqualTypeOf<number | undefined>()
// @ts-expect-error not a claim of this app
session?.user.role
