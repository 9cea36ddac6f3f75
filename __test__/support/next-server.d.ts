// Stands in for the types of Next.js, which only the apps in `examples/nextjs` and `next/app` install.

declare module 'next/server' {
  export class NextRequest extends Request {
    readonly nextUrl: URL & { basePath: string }
  }
  export class NextResponse extends Response {}
}
