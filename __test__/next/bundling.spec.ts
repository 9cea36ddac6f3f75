// A small app with this package as users install it, under the bundler that Next.js takes by itself. The other one, and other
// ways to run an app, are in `__test__/next-modes`.

import { test } from 'vitest'
import { useApp } from '../support/next-app.js'

const app = useApp()

test('next dev', () => app.expectToDevelop('turbopack'))

test('next dev, and an edit of .env.local', () => app.expectToNoticeAnEdit('turbopack'))

test('next build, without a database or a secret, and next start', () => app.expectToBuildAndStart('turbopack'))
