import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

const SERVER = '__test__/support/global-setup.ts'
const SECOND = 1000
const MINUTE = 60 * SECOND

/** A suite: all files of its folder below `__test__`, or those that `include` names. */
function suite(name, { include = [`__test__/${name}/*.spec.ts`], ...test } = {}) {
  const setupFiles = '__test__/support/environment.ts'
  return { test: { name, include, setupFiles, hookTimeout: MINUTE, testTimeout: 20 * SECOND, ...test } }
}

/** With `server`, its files share a PostgreSQL that is started for the run; others start what they need. */
const server = { globalSetup: SERVER }
/** Where apps and packages are installed, and a browser waits. */
const patient = { hookTimeout: 5 * MINUTE, testTimeout: MINUTE, expect: { poll: { timeout: 15 * SECOND } } }

// From here on AddressSanitizer watches nothing else, such as the PostgreSQL of the tests: see `scripts/sanitizer.mjs`.
delete process.env.LD_PRELOAD

const js = { ...server, include: ['__test__/*.spec.ts'], expect: { poll: { timeout: 10 * SECOND } } }

export default defineConfig({
  test: {
    // Unless the command line names another.
    project: 'js',
    // Most tests wait for a server or for a limit of time.
    maxWorkers: Math.max(4, availableParallelism()),
    projects: [
      suite('js', js),
      suite('smoke'),
      suite('pgbouncer', { expect: { poll: { timeout: 10 * SECOND } } }),
      suite('install', { ...patient, ...server }),
      suite('artifact'),
      // A build takes all of a small machine.
      suite('next', { ...patient, ...server, fileParallelism: false, testTimeout: 5 * MINUTE }),
      suite('next-modes', { ...patient, ...server, fileParallelism: false, testTimeout: 5 * MINUTE }),
      suite('browser', patient),
      suite('soak', { expect: { poll: { timeout: 20 * SECOND } }, testTimeout: 60 * MINUTE }),
      suite('supply-chain', { hookTimeout: 15 * MINUTE, testTimeout: MINUTE }),
      suite('sanitizer', {
        ...js,
        // These load no addon.
        exclude: ['__test__/{package,workflows}.spec.ts'],
        // The process that is watched must be the one that loads the addon, so each file is a worker thread of it.
        pool: 'threads',
        fileParallelism: false,
        // Only there, since the bundler of vitest has a native part that would take it, too.
        env: { NAPI_RS_NATIVE_LIBRARY_PATH: process.env.SANITIZED_ADDON ?? '' },
        testTimeout: MINUTE,
      }),
    ],
  },
})
