import { createSessions } from 'authjs-bridge/next'
import { bridge } from '@/auth'

export const { auth, proxy, update } = createSessions({
  bridge,
  authorized: ({ session }) => session !== null,
  signInPage: '/enter',
})
