import { proxy as ours } from 'authjs-bridge/next'
import { type NextRequest, NextResponse } from 'next/server'
import { auth } from './auth'

type Proxy = (request: NextRequest, event: unknown) => unknown
const PROXIES: Record<string, Proxy> = { none: () => NextResponse.next(), ours, authjs: auth as unknown as Proxy }

/** One build for all cases: the server's environment says which proxy it has. */
export function proxy(request: NextRequest, event: unknown) {
  return PROXIES[process.env.BENCHMARK_PROXY ?? 'none']?.(request, event)
}
