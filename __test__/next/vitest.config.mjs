import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['__test__/next/*.spec.ts'],
    setupFiles: '__test__/support/environment.ts',
    expect: { poll: { timeout: 15_000 } },
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
})
