// Auth.js issues a new cookie for each page, so that it doesn't expire while the app is used; the `jwt` callback extends the
// row's `expires_at`. This is no access control: each page checks the session by `auth()` of authjs-bridge.

export { auth as proxy } from '@/auth'

export const config = { matcher: '/((?!api/|_next/|.*\\.).*)' }
