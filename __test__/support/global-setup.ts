import type { TestProject } from 'vitest/node'
import { startPostgres } from './postgres.mjs'

declare module 'vitest' {
  interface ProvidedContext {
    /** The URL of the server that all test files share, for its superuser. */
    serverUrl: string
  }
}

export default async function setup(project: TestProject) {
  const server = await startPostgres()
  project.provide('serverUrl', server.url())
  return () => server.dispose()
}
