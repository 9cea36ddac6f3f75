// Checked by `tsc --project __test__`; nothing here runs.

import type { Account } from 'next-auth-4'
import NextAuth4, { type NextAuthOptions } from 'next-auth-4'
import NextAuth5, { type NextAuthConfig } from 'next-auth-5'
import { expectTypeOf } from 'vitest'
import { AuthBridge } from '../index.js'
import { type SessionOwner, type WithSessionsOptions, withSessions } from '../next-auth/index.js'

expectTypeOf(withSessions).not.toBeAny()
expectTypeOf<WithSessionsOptions>().not.toBeAny()
expectTypeOf<SessionOwner>().not.toBeAny()

// A configuration keeps its type, and a literal gets its types from where it goes.
expectTypeOf(withSessions({} as NextAuthConfig)).toEqualTypeOf<NextAuthConfig>()
expectTypeOf(withSessions({} as NextAuthOptions)).toEqualTypeOf<NextAuthOptions>()
NextAuth5(
  withSessions({
    providers: [],
    callbacks: {
      jwt({ token, trigger }) {
        expectTypeOf(trigger).toEqualTypeOf<'signIn' | 'signUp' | 'update' | undefined>()
        return token
      },
    },
  }),
)
NextAuth5(withSessions(async () => ({ providers: [] })))
NextAuth4(
  withSessions({
    providers: [],
    callbacks: {
      jwt({ token, account }) {
        expectTypeOf(account).toEqualTypeOf<Account | null>()
        return token
      },
    },
  }),
)

withSessions(
  {},
  {
    bridge: new AuthBridge(),
    identify: ({ token, user, account, profile }) => {
      expectTypeOf(token).not.toBeAny()
      expectTypeOf(user?.email).toEqualTypeOf<string | null | undefined>()
      expectTypeOf(account?.provider).toEqualTypeOf<string | undefined>()
      expectTypeOf(profile).not.toBeAny()
      return { tenant: 7, id: 'a', user_type: 'client' }
    },
    adopt: { until: new Date() },
    maxSessions: 5,
    whenFull: 'refuse',
    trustedProxyHeader: 'x-real-ip',
  },
)
withSessions({}, { identify: async () => null })
// @ts-expect-error no such type of users
withSessions({}, { identify: () => ({ user_type: 'admin' }) })
// @ts-expect-error a Date
withSessions({}, { adopt: { until: '2030-01-01' } })
// @ts-expect-error no such option
withSessions({}, { bridges: new AuthBridge() })
// @ts-expect-error a configuration
withSessions('x')
