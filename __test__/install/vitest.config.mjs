import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['__test__/install/*.spec.ts'],
    globalSetup: '__test__/support/global-setup.ts',
    setupFiles: '__test__/support/environment.ts',
    testTimeout: 60_000,
    hookTimeout: 300_000,
  },
})
