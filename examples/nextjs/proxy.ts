// Keeps the session alive while the app is used. This is no access control: each page checks the session by `auth()`.

export { proxy } from '@/sessions'

export const config = { matcher: '/((?!api/|_next/|.*\\.).*)' }
