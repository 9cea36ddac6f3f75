import { headers } from 'next/headers'
import NextAuth from 'next-auth'
import Credentials from 'next-auth/providers/credentials'
import { type Account, findAccount } from '@/lib/accounts'
import { SESSION_SECONDS } from '@/lib/lifetime'
import { revokeSession, startSession } from '@/lib/session-rows'

export const { handlers, signIn, signOut } = NextAuth({
  pages: { signIn: '/signin', error: '/signin' },
  session: { strategy: 'jwt', maxAge: SESSION_SECONDS },
  providers: [
    Credentials({
      credentials: { email: {}, password: {} },
      authorize: ({ email, password }) => findAccount(String(email), String(password)),
    }),
  ],
  callbacks: {
    /** At sign-in: inserts the session's row and adds the claims that authjs-bridge reads. */
    async jwt({ token, user, account }) {
      // Not `trigger === 'signIn'`: at a first sign-up by OAuth or e-mail it is `signUp`.
      if (!user || !account) return token
      return { ...token, ...(await startSession(user as Account, account.provider, await headers())) }
    },
  },
  events: {
    async signOut(message) {
      const token = 'token' in message ? message.token : null
      if (token) await revokeSession({ tenant: token.tenant, id: token.id, session_id: token.session_id }, 'signed out')
    },
  },
})
