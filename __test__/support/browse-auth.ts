// A browser of an app with Auth.js.

import { CookieJar } from './cookie-jar.js'

/** @param path where the routes of Auth.js are */
export function openBrowser(origin: string, headers: Record<string, string> = {}, path = '/api/auth') {
  const jar = new CookieJar()
  const url = `${origin}${path}/`

  async function send(target: string, init: RequestInit = {}) {
    const response = await fetch(target, {
      redirect: 'manual',
      ...init,
      headers: { ...headers, cookie: jar.header(target), ...init.headers },
    })
    for (const line of response.headers.getSetCookie()) jar.set(line, target)
    return response
  }

  async function post(path: string, body: Record<string, unknown> = {}, isJson = false) {
    const { csrfToken } = (await (await send(`${url}csrf`)).json()) as { csrfToken: string }
    return isJson
      ? send(url + path, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ csrfToken, ...body }),
        })
      : send(url + path, { method: 'POST', body: new URLSearchParams({ csrfToken, ...body }) })
  }

  /** Follows redirects to other pages, but not into the app. @returns the last response of Auth.js */
  async function follow(response: Response) {
    for (let at = response; ; ) {
      const location = at.headers.get('location')
      if (!location || !/\/(authorize|callback\/)/.test(new URL(location, origin).pathname)) return at
      at = await send(location)
    }
  }

  return {
    jar,
    send,
    header: () => jar.header(origin),
    /** By a password. */
    signIn: (more: Record<string, string> = {}) => post('callback/credentials', more),
    /** By a provider, which sends the browser back. */
    signInBy: async (provider: string) => follow(await post(`signin/${provider}`)),
    askForLink: (email: string) => post('signin/email', { email }),
    signOut: () => post('signout'),
    read: async () => (await send(`${url}session`)).json(),
    /** Requests that come at once, whose answers come late. */
    readAtOnce: (count: number) => {
      const cookie = jar.header(url)
      return Promise.all(
        Array.from({ length: count }, () => fetch(`${url}session`, { headers: { ...headers, cookie } })),
      )
    },
    /** `update(data)` of the client. */
    update: async (data: unknown) => (await post('session', { data }, true)).json(),
  }
}
