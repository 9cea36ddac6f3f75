import { createSessionRoute } from 'authjs-bridge/next'
import { handlers } from '@/auth'

// `useSession` of next-auth 5 expects `null` if nobody is signed in.
export const { GET } = createSessionRoute({ unauthenticated: 'null' })

// For `update()` of the client.
export const { POST } = handlers
