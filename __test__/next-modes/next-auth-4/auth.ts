import { AuthBridge } from 'authjs-bridge'
import type { NextAuthOptions } from 'next-auth'
import Credentials from 'next-auth/providers/credentials'
import { findUser } from '@/accounts'

export const bridge = new AuthBridge({
  cookieName: process.env.WRONG_COOKIE ? 'authjs.session-token' : ['next-auth.session-token', 'authjs.session-token'],
  updateAge: 0,
})

export const options: NextAuthOptions = {
  providers: [
    Credentials({
      credentials: { email: {} },
      authorize: (credentials) => findUser(credentials?.email),
    }),
  ],
  callbacks: {
    jwt({ token, user, trigger, session }) {
      if (user) return { ...token, ...user }
      return trigger === 'update' ? { ...token, ...session } : token
    },
  },
}
