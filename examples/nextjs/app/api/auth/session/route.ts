import { route } from '@/sessions'

// `useSession` of next-auth 5 expects `null` if nobody is signed in.
export const { GET } = route({ unauthenticated: 'null' })
