// Serves the routes of the real next-auth 5 and 4 over HTTP.

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parse } from 'cookie'
import NextAuth4 from 'next-auth-4'
import { NextAuth5, NextRequest } from './next-auth-5.js'

export type Version = 5 | 4
/** A configuration of either version. */
export type Config = Record<string, unknown> & {
  callbacks?: Record<string, (params: never) => unknown>
  events?: Record<string, (message: never) => unknown>
}
/** What the app does with the configuration: `withSessions` or nothing. */
export type Wrap = (config: Config, api: { req: IncomingMessage | Request; res: ServerResponse }) => unknown

export interface App {
  version: Version
  config: Config
  wrap: Wrap
}

/** A server whose app can be replaced. */
export async function startAuthServer() {
  let app: App | undefined
  const server = createServer((request, response) => {
    handle(request, response).catch((error) => response.writeHead(500).end(String(error)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://localhost:${(server.address() as AddressInfo).port}`

  async function handle(request: IncomingMessage, response: ServerResponse) {
    if (!app) throw new Error('no app')
    let body = ''
    for await (const chunk of request) body += chunk
    return app.version === 5 ? serve5(app, request, response, body) : serve4(app, request, response, body)
  }

  async function serve5({ config, wrap }: App, request: IncomingMessage, response: ServerResponse, body: string) {
    const { method = 'GET' } = request
    const init = { method, headers: request.headers as Record<string, string>, ...(method === 'POST' && { body }) }
    const req = new NextRequest(origin + request.url, init)
    const answer = await NextAuth5(wrap(config, { req, res: response }) as never).handlers.GET(req)
    const { location, 'content-type': type } = Object.fromEntries(answer.headers)
    for (const line of answer.headers.getSetCookie()) response.appendHeader('set-cookie', line)
    if (location) response.setHeader('location', location)
    if (type) response.setHeader('content-type', type)
    response.writeHead(answer.status).end(await answer.text())
  }

  /** An API route of the Pages Router. */
  async function serve4({ config, wrap }: App, request: IncomingMessage, response: ServerResponse, body: string) {
    const { pathname, searchParams } = new URL(request.url ?? '', origin)
    const isJson = request.headers['content-type']?.includes('json')
    const parsed = isJson ? JSON.parse(body) : Object.fromEntries(new URLSearchParams(body))
    const api = Object.assign(request, {
      query: { ...Object.fromEntries(searchParams), nextauth: pathname.split('/').slice(3) },
      cookies: parse(request.headers.cookie ?? ''),
      body: parsed,
    })
    const answer = Object.assign(response, {
      status(code: number) {
        response.statusCode = code
        return response
      },
      json: (value: unknown) => response.setHeader('content-type', 'application/json').end(JSON.stringify(value)),
      send: (value: unknown) => response.end(typeof value === 'string' ? value : JSON.stringify(value)),
    })
    await NextAuth4(api as never, answer as never, wrap(config, { req: request, res: response }) as never)
  }

  return {
    origin,
    use(other: App) {
      app = other
    },
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
