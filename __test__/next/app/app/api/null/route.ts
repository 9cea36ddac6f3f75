import { createSessionRoute } from 'authjs-bridge/next'

export const { GET } = createSessionRoute({ unauthenticated: 'null' })
