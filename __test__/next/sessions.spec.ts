// Tests what `createSessions` makes in a production build. Other ways to run it are in `__test__/next-modes`.

import { beforeAll } from 'vitest'
import { useApp } from '../support/next-app.js'
import { testSessions } from '../support/next-sessions.js'

const app = useApp()
beforeAll(() => app.build('turbopack'))

testSessions(app, (env) => app.start(['start'], env))
