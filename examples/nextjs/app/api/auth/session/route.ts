import { createSessionRoute } from 'authjs-bridge/next'
import { handlers } from '@/auth'

// `null` for signed out is what `useSession` of next-auth 5 needs.
export const { GET } = createSessionRoute({ unauthenticated: 'null' })

// What the client's `update()` sends.
export const { POST } = handlers
