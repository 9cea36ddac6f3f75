import { withSessions } from 'authjs-bridge/next-auth'
import type { NextApiRequest, NextApiResponse } from 'next'
import NextAuth from 'next-auth'
import { bridge, options } from '@/auth'

export default function handler(req: NextApiRequest, res: NextApiResponse) {
  return NextAuth(req, res, withSessions(options, { bridge, trustedProxyHeader: 'x-real-ip', req, res }))
}
