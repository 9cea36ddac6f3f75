// The real next-auth 5, without Next.js: of that it needs two classes to serve a route.

import { register } from 'node:module'
import type { AuthConfig } from '@auth/core'

const STAND_IN = asUrl(`
  export class NextRequest extends Request {
    get nextUrl() {
      return new URL(this.url)
    }
  }
  export class NextResponse extends Response {}
  export const headers = () => {}
  export const cookies = () => {}
  export const redirect = () => {}
`)
register(
  asUrl(`
    export const resolve = (name, context, next) =>
      /^next\\/(server|headers|navigation)$/.test(name)
        ? { url: ${JSON.stringify(STAND_IN)}, shortCircuit: true }
        : next(name, context)
  `),
)

function asUrl(script: string) {
  return `data:text/javascript,${encodeURIComponent(script)}`
}

type Handler = (request: Request) => Promise<Response>

// Not by their names, or the types of Next.js would be needed.
const [nextAuth, nextServer]: string[] = ['next-auth-5', STAND_IN]

export const { default: NextAuth5 }: { default: (config: AuthConfig) => { handlers: { GET: Handler } } } = await import(
  nextAuth ?? ''
)
export const { NextRequest }: { NextRequest: typeof Request } = await import(nextServer ?? '')
