// The session routes of the real `@auth/core`, next-auth 5 and next-auth 4: what they read from a request, and which cookies
// they set.

import { Auth, type AuthConfig, setEnvDefaults } from '@auth/core'
import { decode as decode5, encode as encode5 } from '@auth/core/jwt'
import { parse } from 'cookie'
import { type AuthOptions, getServerSession } from 'next-auth-4'
import { decode as decode4, encode as encode4 } from 'next-auth-4/jwt'
import { NextAuth5, NextRequest } from './next-auth-5.js'
import type { Claims, Issuer } from './reference.js'

/** An app whose variables are set while its handlers are called. */
export interface App {
  issuer: Issuer
  /** The session route. */
  url: string
  /** The name of the session cookie. */
  name: string
  /** Whether the app configures that name. */
  isOwnName: boolean
  /** Newest first; if undefined, the variables hold them. */
  secrets?: string[]
  maxAge: number
  /** `cookies.sessionToken.options`. */
  attributes: {
    domain?: string
    path?: string
    sameSite?: 'lax' | 'strict' | 'none'
    secure?: boolean
    partitioned?: boolean
  }
}

/** What a test decides in place of the app or the handler. */
export interface Decisions {
  /** The claims of the session, whatever the handler reads. */
  claims?: Claims
  /** The callback `jwt`. */
  jwt?: (token: Claims) => Claims | null
  /** Changes the new token. */
  token?: (token: string) => string
}

export interface Answer {
  /** What the handler reads from the request. */
  read: Claims | null
  /** The lines about the session cookie. */
  setCookie: string[]
}

export interface Reference {
  /** Those that it opens tokens with. */
  secrets: string[]
  serve(header: string, decisions?: Decisions): Promise<Answer>
}

/** The implementations that serve such an app, by name. Without those that find no secret. */
export function referencesOf(app: App): [name: string, reference: Reference][] {
  const all: [string, Reference][] =
    app.issuer === 'authjs'
      ? [
          ['@auth/core', { secrets: secretsOfCore(app), serve: (...call) => answer5(app, serveByCore, ...call) }],
          ['next-auth 5', { secrets: secretsOf5(app), serve: (...call) => answer5(app, serveBy5, ...call) }],
        ]
      : [['next-auth 4', { secrets: secretsOf4(app), serve: (...call) => answer4(app, ...call) }]]
  return all.filter(([, { secrets }]) => secrets.length > 0)
}

function serveByCore(request: Request, config: AuthConfig) {
  setEnvDefaults(process.env, config, true)
  return Auth(request, config)
}

function serveBy5(request: Request, config: AuthConfig) {
  return NextAuth5(config).handlers.GET(request)
}

function secretsOfCore({ secrets }: App) {
  const config: AuthConfig = { providers: [], secret: secrets && [...secrets] }
  setEnvDefaults(process.env, config, true)
  return [config.secret ?? []].flat()
}

function secretsOf5({ secrets }: App) {
  const config: AuthConfig = { providers: [], secret: secrets && [...secrets] }
  NextAuth5(config)
  return [config.secret ?? []].flat()
}

/** As `getServerSession` finds it. */
function secretsOf4({ secrets }: App) {
  const secret = secrets?.[0] ?? process.env.NEXTAUTH_SECRET ?? process.env.AUTH_SECRET
  return secret ? [secret] : []
}

const SILENT = { debug() {}, warn() {}, error() {} }

type Serve = (request: Request, config: AuthConfig) => Promise<Response>

async function answer5(app: App, serve: Serve, header: string, decisions: Decisions = {}): Promise<Answer> {
  const { url, name, isOwnName, secrets, maxAge, attributes } = app
  let read: Claims | null = null
  const options = Object.keys(attributes).length > 0 ? { options: attributes } : {}
  const response = await serve(new NextRequest(url, { headers: { cookie: header } }), {
    providers: [],
    trustHost: true,
    basePath: new URL(url).pathname.replace('/session', ''),
    ...(secrets && { secret: [...secrets] }),
    session: { strategy: 'jwt', maxAge },
    cookies: { sessionToken: { ...(isOwnName && { name }), ...options } },
    jwt: {
      async decode(params) {
        read = await decode5(params).catch(() => null)
        return decisions.claims ?? read
      },
      async encode(params) {
        const token = await encode5(params)
        return decisions.token?.(token) ?? token
      },
    },
    callbacks: { jwt: ({ token }) => (decisions.jwt ? decisions.jwt(token) : token) },
    logger: SILENT,
  })
  return { read, setCookie: response.headers.getSetCookie().filter((line) => line.startsWith(name)) }
}

async function answer4(app: App, header: string, decisions: Decisions = {}): Promise<Answer> {
  const { url, name, isOwnName, secrets, maxAge, attributes } = app
  let read: Claims | null = null
  const secure = url.startsWith('https:')
  const isOwn = isOwnName || Object.keys(attributes).length > 0
  const options = { httpOnly: true, sameSite: 'lax' as const, path: '/', secure, ...attributes }
  const config: AuthOptions = {
    providers: [],
    secret: secrets?.[0],
    session: { strategy: 'jwt', maxAge },
    useSecureCookies: secure,
    ...(isOwn && { cookies: { sessionToken: { name, options } } }),
    jwt: {
      async decode(params) {
        read = await decode4(params).catch(() => null)
        return (decisions.claims ?? read) as Awaited<ReturnType<typeof decode4>>
      },
      async encode(params) {
        const token = await encode4(params)
        return decisions.token?.(token) ?? token
      },
    },
    callbacks: { jwt: ({ token }) => (decisions.jwt ? decisions.jwt(token) : token) as typeof token },
    logger: SILENT,
  }
  const headers = new Map<string, unknown>()
  const request = { headers: {}, cookies: parse(header) }
  const response = {
    getHeader: (key: string) => headers.get(key),
    setHeader: (key: string, value: unknown) => headers.set(key, value),
  }
  type Call = Extract<Parameters<typeof getServerSession>, [unknown, unknown, unknown]>
  await getServerSession(...([request, response, config] as unknown as Call))
  const lines = (headers.get('Set-Cookie') ?? []) as string[]
  return { read, setCookie: lines.filter((line) => line.startsWith(name)) }
}
