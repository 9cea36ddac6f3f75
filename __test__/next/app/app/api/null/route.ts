import { route } from 'authjs-bridge/next'

export const { GET } = route({ unauthenticated: 'null' })
