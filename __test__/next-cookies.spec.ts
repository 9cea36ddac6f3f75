// The pure parts of `authjs-bridge/next`. What Next.js does with them is tested in `next` and `next-modes`.

import { describe, expect, test } from 'vitest'
import { changesCookies, overlay, parseSetCookie } from '../next/cookies.js'
import { isAtOrBelow, isPage, withoutHost } from '../next/paths.js'

describe('the Cookie header with what cookies() has changed', () => {
  /** `cookies()` of Next.js for a header: the last of each name. */
  const RECEIVED = { s: 'old', theme: 'dark mode', x: '1' }
  const HEADER = 's=older; theme=dark%20mode; s=old; x=1; y=%'

  test.each<[string, Record<string, string>, string]>([
    ['nothing: the header as it was sent', {}, HEADER],
    ['a value: all of that name are replaced', { s: 'new' }, 'theme=dark%20mode; x=1; y=%; s=new'],
    ['a deletion: all of that name are gone', { s: '' }, 'theme=dark%20mode; x=1; y=%'],
    ['a new cookie', { 's.0': 'a' }, `${HEADER}; s.0=a`],
    ['a new cookie, deleted', { 's.0': '' }, 's=older; theme=dark%20mode; s=old; x=1; y=%'],
    ['a value that has to be encoded', { x: 'a;b é' }, 's=older; theme=dark%20mode; s=old; y=%; x=a%3Bb%20%C3%A9'],
    ['one that could not be decoded', { y: '2' }, 's=older; theme=dark%20mode; s=old; x=1; y=2'],
    ['several', { s: '', x: '2', 's.0': 'a' }, 'theme=dark%20mode; y=%; x=2; s.0=a'],
  ])('%s', (_, changes, expected) => {
    const jar = Object.entries({ ...RECEIVED, ...changes }).map(([name, value]) => ({ name, value }))
    expect(overlay(HEADER, jar)).toBe(expected)
  })

  test.each([
    ['', [], ''],
    ['', [{ name: 's', value: 'new' }], 's=new'],
    ['s=old', [{ name: 's', value: '' }], ''],
    [
      'flag; s=a=b;;x',
      [
        { name: 'flag', value: 'true' },
        { name: 's', value: 'a=b' },
        { name: 'x', value: 'true' },
      ],
      'flag; s=a=b;;x',
    ],
  ])('%j with %j', (header, jar, expected) => expect(overlay(header, jar)).toBe(expected))
})

describe('a cookie is set only when it changes something', () => {
  test.each<[string, string, string, boolean]>([
    ['a new one', '', 'new', true],
    ['another value', 's=old', 'new', true],
    ['the same value', 'a=1; s=same', 'same', false],
    ['the same value, encoded', 's=%73ame', 'same', false],
    ['the same value beside another', 's=same; s=other', 'same', true],
    ['a value that can not be decoded', 's=%', 'same', true],
    ['a name that only begins alike', 's.0=same', 'same', true],
    ['a deletion', 's=old', '', true],
    ['a deletion of what can not be decoded', 's=%', '', true],
    ['a deletion of nothing', 'a=1', '', false],
    ['a deletion of an empty one', 's=', '', false],
  ])('%s', (_, header, value, expected) => expect(changesCookies(header, { name: 's', value })).toBe(expected))
})

describe('a Set-Cookie line is read into what cookies().set() takes', () => {
  const EXPIRES = 'Fri, 27 Nov 2026 12:00:00 GMT'
  const expires = new Date(EXPIRES)

  test.each<[string, { name: string; value: string; options: object } | undefined]>([
    ['s=a', { name: 's', value: 'a', options: {} }],
    ['s=a=b', { name: 's', value: 'a=b', options: {} }],
    ['s=%41%20', { name: 's', value: 'A ', options: {} }],
    ['s=%', { name: 's', value: '%', options: {} }],
    [
      `s=a; Domain=app.example; Path=/app; Expires=${EXPIRES}; HttpOnly; Secure; Partitioned; SameSite=Lax`,
      {
        name: 's',
        value: 'a',
        options: {
          domain: 'app.example',
          path: '/app',
          expires,
          httpOnly: true,
          secure: true,
          partitioned: true,
          sameSite: 'lax',
        },
      },
    ],
    [
      `s=a;path=/;max-age=60;samesite=NONE;secure`,
      { name: 's', value: 'a', options: { path: '/', maxAge: 60, sameSite: 'none', secure: true } },
    ],
    ['s=; Max-Age=0; Path=/', { name: 's', value: '', options: { maxAge: 0, expires: new Date(0), path: '/' } }],
    ['s=a; Path=/x=y; Priority=High', { name: 's', value: 'a', options: { path: '/x=y' } }],
    ['', undefined],
    ['HttpOnly', undefined],
    ['=a; Path=/', undefined],
  ])('%s', (line, expected) => expect(parseSetCookie(line)).toEqual(expected))
})

test.each([
  ['/api/auth', '/api/auth', true],
  ['/api/auth/', '/api/auth', true],
  ['/api/auth/callback/google', '/api/auth', true],
  ['/api/authors', '/api/auth', false],
  ['/api', '/api/auth', false],
  ['/API/auth/session', '/api/auth', false],
  ['/x/api/auth/session', '/api/auth', false],
  ['/auth/signin', '/auth', true],
])('whether %s is at or below %s: %s', (pathname, base, expected) => expect(isAtOrBelow(pathname, base)).toBe(expected))

test.each([
  ['/signin', '/signin', true],
  ['/signin/', '/signin', true],
  ['/signin/help', '/signin', false],
  ['/', '/', true],
  ['/dashboard', '/', false],
])('whether %s is the page %s: %s', (pathname, page, expected) => expect(isPage(pathname, page)).toBe(expected))

test.each([
  ['http://localhost:3000/', '/'],
  ['http://localhost:3000/a/b?x=1&y=%2F#part', '/a/b?x=1&y=%2F'],
  ['https://app.example//other.example/?x=1', '/other.example/?x=1'],
  ['https://app.example/\\other.example', '/other.example'],
  ['https://app.example///', '/'],
])('%s without its host is %s', (href, expected) => expect(withoutHost(href)).toBe(expected))
