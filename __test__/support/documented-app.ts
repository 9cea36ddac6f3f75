// What docs give Auth.js, loaded from their very text and run by the real Auth.js.

import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Auth, type AuthConfig, skipCSRFCheck } from '@auth/core'
import type { Adapter } from '@auth/core/adapters'
import credentials from '@auth/core/providers/credentials'
import { COOKIE_NAME } from './cookies.mjs'
import { codeBlocks } from './pages.js'
import { inCode } from './platform.js'

const ROOT = inCode(fileURLToPath(new URL('../..', import.meta.url)))
const ORIGIN = 'http://localhost:3000'

/** Stands in for what only a request of Next.js has. */
const NEXT_AUTH = `export default (config) => ({ config, handlers: {}, auth() {}, signIn() {}, signOut() {} })`
const NEXT_HEADERS = `
export const jar = new Map()
export const headers = async () => new Headers()
export const cookies = async () => ({
  getAll: () => [...jar].map(([name, { value }]) => ({ name, value })),
  set: (name, value, options) => jar.set(name, { value, options }),
})`

/** A function instead of the object, since then Auth.js hands the request on. */
const WITH_SESSIONS = `
import { withSessions as real } from '${ROOT}next-auth/index.js'
export const withSessions = (config, options) => real(async () => config, options)`
const SESSIONS = `
import { getSession } from '${ROOT}index.js'
export const request = { cookie: '' }
export const auth = async () => { const session = await getSession(request.cookie); return session.user ? session : null }`

/** The text of a block of code whose first line names this file. */
export function documented(page: string, file: string) {
  const block = codeBlocks(page).find(({ text }) => text.startsWith(`// ${file}\n`))
  if (!block) throw new Error(`${page} shows no ${file}`)
  return block.text
}

/** Writes the files of an app, and imports them with the variables of the environment as they are now. */
export function writeApp(files: Record<string, string>) {
  // In the repository, so that they find its packages; not in `node_modules`, where TypeScript is not compiled.
  const folder = `${ROOT}target/documented-app-${randomUUID()}`
  const standIns = {
    'next-auth.ts': NEXT_AUTH,
    'next-headers.ts': NEXT_HEADERS,
    'authjs-bridge-next.ts': SESSIONS,
    'with-sessions.ts': WITH_SESSIONS,
  }
  for (const [file, text] of Object.entries({ ...standIns, ...files })) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    const imported = text
      .replaceAll("from 'next-auth'", `from '${folder}/next-auth.ts'`)
      .replaceAll("from 'next-auth/providers/", "from '@auth/core/providers/")
      .replaceAll("from 'next/headers'", `from '${folder}/next-headers.ts'`)
      .replaceAll("from 'authjs-bridge'", `from '${ROOT}index.js'`)
      .replaceAll("from 'authjs-bridge/next-auth'", `from '${folder}/with-sessions.ts'`)
      .replaceAll("from 'authjs-bridge/next'", `from '${folder}/authjs-bridge-next.ts'`)
      .replaceAll("from '@/", `from '${folder}/`)
    writeFileSync(join(folder, file), imported)
  }
  return { folder, load: (file: string) => import(`${folder}/${file}`) }
}

/** A browser, and the real Auth.js with the app's callbacks and events. `user` is who signs in. */
export function browse(
  app: (request: Request) => Promise<AuthConfig>,
  user: { id: string; email: string },
  adapter: Adapter = {},
) {
  const configure = async (request: Request): Promise<AuthConfig> => ({
    ...(await app(request)),
    trustHost: true,
    basePath: '/auth',
    skipCSRFCheck,
    providers: [
      credentials({ authorize: () => user }),
      { id: 'email', name: 'E-mail', type: 'email', maxAge: 60, async sendVerificationRequest() {} },
    ],
    adapter: { ...newcomer(user), ...adapter },
    logger: { debug() {}, warn() {}, error() {} },
  })
  let token: string | undefined

  async function ask(path: string, init: RequestInit = {}, cookie = token) {
    const headers = { ...init.headers, cookie: cookie ? `${COOKIE_NAME}=${cookie}` : '' }
    const request = new Request(`${ORIGIN}/auth/${path}`, { ...init, headers })
    const response = await Auth(request, await configure(request))
    const [set] = response.headers.getSetCookie().filter((line) => line.startsWith(`${COOKIE_NAME}=`))
    return { response, set: set?.slice(set.indexOf('=') + 1, set.indexOf(';')) }
  }

  /** As a browser does it: an empty value deletes the cookie. */
  async function go(path: string, init?: RequestInit) {
    const { response, set } = await ask(path, init)
    if (set !== undefined) token = set || undefined
    return response
  }

  const post = (path: string) => go(path, { method: 'POST', body: new URLSearchParams() })
  return {
    cookie: () => token && `${COOKIE_NAME}=${token}`,
    hold: (value: string) => (token = value),
    signIn: () => post('callback/credentials'),
    /** For the first time, by a link in an e-mail: `trigger` is `signUp`. */
    signUp: () => go(`callback/email?token=x&email=${user.email}`),
    signOut: () => post('signout'),
    read: async () => (await go('session')).json(),
    /** Requests that come at once, all with the same cookie, whose answers come late. */
    readAtOnce: (count: number) => Promise.all(Array.from({ length: count }, () => ask('session'))),
    /** `update(data)` of the client. */
    update: async () => {
      const headers = { 'content-type': 'application/json' }
      return (await go('session', { method: 'POST', headers, body: '{"data":{}}' })).json()
    },
  }
}

/** An adapter that knows nobody yet. */
function newcomer(user: { id: string; email: string }) {
  const adapter: Adapter = {
    createVerificationToken: (token) => token,
    useVerificationToken: ({ identifier, token }) => ({ identifier, token, expires: new Date(Date.now() + 60_000) }),
    getUserByEmail: () => null,
    createUser: () => ({ emailVerified: new Date(), ...user }),
  }
  return adapter
}
