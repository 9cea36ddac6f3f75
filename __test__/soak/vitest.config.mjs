import { defineConfig } from 'vitest/config'

// By itself, since it takes its time.
export default defineConfig({
  test: {
    include: ['__test__/soak/*.spec.ts'],
    setupFiles: '__test__/support/environment.ts',
    expect: { poll: { timeout: 20_000 } },
    hookTimeout: 60_000,
    testTimeout: 3_600_000,
  },
})
