import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: { include: ['__test__/supply-chain/*.spec.ts'], testTimeout: 60_000, hookTimeout: 900_000 },
})
