import { defineConfig } from 'vitest/config'

// By itself, since it needs PgBouncer on the path.
export default defineConfig({
  test: {
    include: ['__test__/pgbouncer/*.spec.ts'],
    setupFiles: '__test__/support/environment.ts',
    expect: { poll: { timeout: 10_000 } },
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
})
