// Tests a small app with the default bundler of Next.js, with this package as users install it. The other bundler and other
// ways to run an app are in `__test__/next-modes`.

import { afterEach, test } from 'vitest'
import { useApp } from '../support/next-app.js'

const app = useApp()
afterEach(app.stopAll)

test('next dev', () => app.expectToDevelop('turbopack'))

test('next dev, and an edit of .env.local', () => app.expectToNoticeAnEdit('turbopack'))

test('next build, without a database or a secret, and next start', () => app.expectToBuildAndStart('turbopack'))
