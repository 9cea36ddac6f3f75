import { createSessions } from 'authjs-bridge/next'
import { type NextRequest, NextResponse } from 'next/server'

/** Only keeps sessions alive. */
const open = createSessions()

/** Decides below `/guarded`, in each way that it can. */
const guarded = createSessions({
  signInPage: '/guarded/signin',
  authorized({ session, request }) {
    switch (request.nextUrl.pathname) {
      case '/guarded/signin':
        return session ? NextResponse.redirect(new URL('/guarded', request.url)) : true
      case '/guarded/response':
        return Response.json({ header: request.headers.get('cookie'), cookies: request.cookies.getAll() })
      case '/guarded/rewrite':
        return NextResponse.rewrite(new URL('/cookies', request.url))
      case '/guarded/headers': {
        const headers = new Headers(request.headers)
        headers.set('x-added', 'by the app')
        return NextResponse.rewrite(new URL('/cookies', request.url), { request: { headers } })
      }
      case '/guarded/wrong':
        return 'yes' as never
      case '/guarded/undefined':
        return undefined
    }
    return session !== null
  },
})

/** For middleware.ts and proxy.ts alike. */
export function proxy(request: NextRequest) {
  const { proxy } = request.nextUrl.pathname.startsWith('/guarded') ? guarded : open
  return proxy(request)
}

export const { auth, route, update, setCookies } = open
