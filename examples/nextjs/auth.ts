import { withSessions } from 'authjs-bridge/next-auth'
import NextAuth from 'next-auth'
import Credentials from 'next-auth/providers/credentials'
import { findAccount } from '@/lib/accounts'
import { MAX_SESSIONS } from '@/lib/lifetime'
import { bridge } from '@/sessions'

export const { handlers, signIn, signOut } = NextAuth(
  withSessions(
    {
      pages: { signIn: '/signin', error: '/signin' },
      providers: [
        Credentials({
          credentials: { email: {}, password: {} },
          authorize: ({ email, password }) => findAccount(String(email), String(password)),
        }),
      ],
      callbacks: {
        // There is a user at a sign-in only: what is in the token then is in the session.
        jwt: ({ token, user }) => ({ ...token, ...user }),
      },
    },
    { bridge, maxSessions: MAX_SESSIONS },
  ),
)
