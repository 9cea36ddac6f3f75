import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: { include: ['__test__/smoke/*.spec.ts'], setupFiles: '__test__/support/environment.ts' },
})
