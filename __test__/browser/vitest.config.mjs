import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['__test__/browser/*.spec.ts'],
    setupFiles: '__test__/support/environment.ts',
    expect: { poll: { timeout: 15_000 } },
    testTimeout: 60_000,
    hookTimeout: 300_000,
  },
})
