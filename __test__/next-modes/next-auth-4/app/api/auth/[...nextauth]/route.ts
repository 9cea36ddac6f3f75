import { withSessions } from 'authjs-bridge/next-auth'
import NextAuth from 'next-auth'
import { bridge, options } from '@/auth'

const handler = NextAuth(withSessions(options, { bridge, trustedProxyHeader: 'x-real-ip' }))

export { handler as GET, handler as POST }
