// Tests what `createSessions` makes with Next.js 15.5, in a `middleware.ts` that runs on Node.js.

import { beforeAll, describe } from 'vitest'
import { BUNDLERS, useApp } from '../support/next-app.js'
import { testSessions } from '../support/next-sessions.js'

const app = useApp('15.5')

describe.each(BUNDLERS)('%s, next dev', (bundler) => {
  testSessions(app, (env) => app.develop(bundler, env), 'development')
})

describe.each(BUNDLERS)('%s, next start', (bundler) => {
  beforeAll(() => app.build(bundler))

  testSessions(app, (env) => app.start(['start'], env))
})
