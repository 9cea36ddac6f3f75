// The browser of the tests keeps what a browser keeps.

import { expect, test } from 'vitest'
import { CookieJar } from './support/cookie-jar.js'

const URL = 'https://www.example.com/app/page'

test.each<[string, string[], string]>([
  ['one cookie', ['a=1'], 'a=1'],
  ['replaced in its place', ['a=1; Path=/', 'b=2; Path=/', 'a=3; Path=/'], 'a=3; b=2'],
  ['another path is another cookie, and the longer one goes first', ['a=1; Path=/', 'a=2; Path=/app'], 'a=2; a=1'],
  ['the path of the request without its last part', ['a=1', 'a=2; Path=/app'], 'a=2'],
  ['another path', ['a=1; Path=/other', 'b=1; Path=/ap'], ''],
  ['a domain is another cookie than the host alone', ['a=1; Path=/', 'a=2; Path=/; Domain=example.com'], 'a=1; a=2'],
  ['another domain', ['a=1; Domain=example.org', 'b=1; Domain=ample.com', 'c=1; Domain=a.www.example.com'], ''],
  ['Max-Age deletes', ['a=1; Path=/', 'a=; Max-Age=0; Path=/'], ''],
  ['Max-Age deletes at its own path only', ['a=1; Path=/', 'a=; Max-Age=0; Path=/app'], 'a=1'],
  ['an expired date deletes', ['a=1', 'a=2; Expires=Thu, 01 Jan 1970 00:00:00 GMT'], ''],
  ['Max-Age counts before Expires', ['a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60'], 'a=1'],
  ['an empty value is a cookie', ['a='], 'a='],
  ['too long', [`a=${'x'.repeat(4096)}`], ''],
  ['as long as may be', [`a=${'x'.repeat(4095)}`], `a=${'x'.repeat(4095)}`],
  ['__Secure- without Secure', ['__Secure-a=1'], ''],
  ['__Secure-', ['__Secure-a=1; Secure'], '__Secure-a=1'],
  ['__Host- with a domain', ['__Host-a=1; Secure; Path=/; Domain=www.example.com'], ''],
  ['__Host- without a path', ['__Host-a=1; Secure'], ''],
  ['__Host-', ['__Host-a=1; Secure; Path=/'], '__Host-a=1'],
  ['SameSite=None without Secure', ['a=1; SameSite=None'], ''],
  ['Partitioned without Secure', ['a=1; Partitioned'], ''],
])('%s', (_, lines, expected) => {
  const jar = new CookieJar()
  for (const line of lines) jar.set(line, URL)
  expect(jar.header(URL)).toBe(expected)
})

test('over http a secure cookie is neither set nor sent nor overwritten', () => {
  const http = URL.replace('https', 'http')
  const jar = new CookieJar()
  expect(jar.set('a=1; Path=/; Secure', URL)).toBe(true)
  expect(jar.set('b=1; Path=/; Secure', http)).toBe(false)
  expect(jar.set('a=2; Path=/', http)).toBe(false)
  expect(jar.header(http)).toBe('')
  expect(jar.header(URL)).toBe('a=1')
})

test('a cookie ends with its time', () => {
  const jar = new CookieJar()
  jar.set('a=1; Max-Age=60', URL, 0)
  jar.set('b=1; Expires=Thu, 01 Jan 1970 00:01:00 GMT', URL, 0)
  jar.set('c=1; Max-Age=999999999', URL, 0)
  jar.set('d=1', URL, 0)
  expect(jar.header(URL, 59_999)).toBe('a=1; b=1; c=1; d=1')
  expect(jar.header(URL, 60_000)).toBe('c=1; d=1')
  expect(jar.header(URL, 400 * 86_400_000)).toBe('d=1')
})
