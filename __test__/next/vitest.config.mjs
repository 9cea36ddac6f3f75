import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['__test__/next/*.spec.ts'],
    globalSetup: '__test__/support/global-setup.ts',
    setupFiles: '__test__/support/environment.ts',
    expect: { poll: { timeout: 15_000 } },
    // The machine is small, and a build takes all of it.
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
})
