import { AuthBridge } from 'authjs-bridge'
import { withSessions } from 'authjs-bridge/next-auth'
import NextAuth from 'next-auth'
import Credentials from 'next-auth/providers/credentials'
import { findUser } from '@/accounts'

export const bridge = new AuthBridge({
  cookieName: ['authjs.session-token', 'next-auth.session-token'],
  updateAge: 0,
})

export const { handlers, auth, signIn, signOut, unstable_update } = NextAuth(
  withSessions(
    {
      providers: [
        Credentials({
          credentials: { email: {} },
          authorize: ({ email }) => findUser(email),
        }),
      ],
      callbacks: {
        jwt({ token, user, trigger, session }) {
          if (user) return { ...token, ...user }
          return trigger === 'update' ? { ...token, ...session } : token
        },
      },
    },
    { bridge, trustedProxyHeader: 'x-real-ip' },
  ),
)
