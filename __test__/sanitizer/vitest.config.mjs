import { defineConfig, mergeConfig } from 'vitest/config'
import usual from '../../vitest.config.mjs'

// `scripts/sanitizer.mjs` says what this is about. From here on nothing else is watched: not the PostgreSQL of the tests.
delete process.env.LD_PRELOAD

export default mergeConfig(
  usual,
  defineConfig({
    test: {
      // These load no addon.
      exclude: ['__test__/{package,workflows}.spec.ts'],
      // The process that is watched must be the one that loads the addon, so each file is a worker thread of it.
      pool: 'threads',
      fileParallelism: false,
      // Only there, since the bundler of vitest has a native part that would take it, too.
      env: { NAPI_RS_NATIVE_LIBRARY_PATH: process.env.SANITIZED_ADDON ?? '' },
      testTimeout: 60_000,
    },
  }),
)
