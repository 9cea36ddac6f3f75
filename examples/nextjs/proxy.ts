// Auth.js issues the cookie anew for each page, so that it does not expire while the app is used; its `jwt` callback
// moves the row's `expires_at` along. Who may see a page is not decided here, but there, by `auth()` of authjs-bridge.

export { auth as proxy } from '@/auth'

export const config = { matcher: '/((?!api/|_next/|.*\\.).*)' }
