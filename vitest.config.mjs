import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

const SERVER = '__test__/support/global-setup.ts'
const SECOND = 1000
const MINUTE = 60 * SECOND

/** A suite: all `*.spec.ts` in its folder below `__test__`, or the files in `include`. */
function suite(name, { include = [`__test__/${name}/*.spec.ts`], ...test } = {}) {
  const setupFiles = '__test__/support/environment.ts'
  return { test: { name, include, setupFiles, hookTimeout: MINUTE, testTimeout: 20 * SECOND, ...test } }
}

/** Starts one PostgreSQL server that all files of a suite share. Suites without it start their own servers. */
const server = { globalSetup: SERVER }
/** For suites that install packages, build apps or drive a browser. */
const slow = { hookTimeout: 5 * MINUTE, testTimeout: MINUTE, expect: { poll: { timeout: 15 * SECOND } } }

// Child processes, such as PostgreSQL, must not run with AddressSanitizer: see `scripts/sanitizer.mjs`.
delete process.env.LD_PRELOAD

const js = { ...server, include: ['__test__/*.spec.ts'], expect: { poll: { timeout: 10 * SECOND } } }

export default defineConfig({
  test: {
    // The default; `--project` overrides it.
    project: 'js',
    // More workers than cores: most tests wait for a server or for a timeout.
    maxWorkers: Math.max(4, availableParallelism()),
    projects: [
      suite('js', js),
      suite('smoke'),
      suite('runtimes', server),
      suite('platforms', { hookTimeout: MINUTE, testTimeout: 10 * MINUTE }),
      suite('pgbouncer', { expect: { poll: { timeout: 10 * SECOND } } }),
      suite('install', { ...slow, ...server }),
      suite('artifact'),
      // One file at a time: a build of Next.js uses all cores of a small machine.
      suite('next', { ...slow, ...server, fileParallelism: false, testTimeout: 5 * MINUTE }),
      suite('next-modes', { ...slow, ...server, fileParallelism: false, testTimeout: 5 * MINUTE }),
      suite('browser', slow),
      suite('site', slow),
      suite('soak', { expect: { poll: { timeout: 20 * SECOND } }, testTimeout: 60 * MINUTE }),
      suite('supply-chain', { hookTimeout: 15 * MINUTE, testTimeout: MINUTE }),
      // Run it by `scripts/emulated-tests.mjs`, which leaves out some. An emulated processor takes ten times as long: that may be too
      // long for what a test keeps for a second. What fails on the platform fails in each try.
      suite('emulated', {
        ...js,
        include: ['__test__/*.spec.ts', '__test__/smoke/*.spec.ts'],
        expect: { poll: { timeout: MINUTE } },
        env: { IS_EMULATED: '1' },
        hookTimeout: 4 * MINUTE,
        testTimeout: 2 * MINUTE,
        retry: 2,
      }),
      suite('sanitizer', {
        ...js,
        // These load no addon.
        exclude: ['__test__/{package,workflows}.spec.ts'],
        // Worker threads instead of child processes: only this process runs with AddressSanitizer.
        pool: 'threads',
        fileParallelism: false,
        // Set in the workers only: the bundler of vitest has a native part that reads this variable, too.
        env: { NAPI_RS_NATIVE_LIBRARY_PATH: process.env.SANITIZED_ADDON ?? '' },
        testTimeout: MINUTE,
      }),
    ],
  },
})
