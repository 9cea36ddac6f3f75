// Where the loader finds no native part: one more attempt, then the error with the cause and what to do about it.

const { existsSync } = require('node:fs')
const { basename, dirname, join } = require('node:path')

/** @typedef {{ os: string, cpu: string, libc?: string, name: string }} Platform */

/** @type {Platform[]} */
const PLATFORMS = [
  { os: 'linux', cpu: 'x64', libc: 'glibc', name: 'authjs-bridge-linux-x64-gnu' },
  { os: 'linux', cpu: 'arm64', libc: 'glibc', name: 'authjs-bridge-linux-arm64-gnu' },
  { os: 'linux', cpu: 'x64', libc: 'musl', name: 'authjs-bridge-linux-x64-musl' },
  { os: 'linux', cpu: 'arm64', libc: 'musl', name: 'authjs-bridge-linux-arm64-musl' },
  { os: 'darwin', cpu: 'x64', name: 'authjs-bridge-darwin-x64' },
  { os: 'darwin', cpu: 'arm64', name: 'authjs-bridge-darwin-arm64' },
  { os: 'win32', cpu: 'x64', name: 'authjs-bridge-win32-x64-msvc' },
  { os: 'win32', cpu: 'arm64', name: 'authjs-bridge-win32-arm64-msvc' },
]

/** Errors of the loader that say nothing about the cause: its summary, a local build, a build for WASI. */
const EXPECTED_FAILURE = /^Cannot find (native binding|module '(\.\/authjs-bridge\.|authjs-bridge-wasm32))/

/**
 * Loads the package for the C library that Node.js runs on. The loader goes by that of the system, and the two may differ.
 *
 * @param {unknown} cause the error that the loader threw
 * @returns the native part
 */
function requireNative(cause) {
  const here = { os: process.platform, cpu: process.arch, libc: libc() }
  const platform = PLATFORMS.find(({ os, cpu, libc }) => os === here.os && cpu === here.cpu && libc === here.libc)
  if (!platform) {
    const all = PLATFORMS.map(describe).join(', ')
    throw unavailable(`authjs-bridge has no build for ${describe(here)}, only for ${all}.`, cause)
  }
  const isTried = messages(cause).some((message) => message.includes(platform.name))
  try {
    if (!isTried) return require(platform.name)
  } catch (error) {
    cause = new Error(/** @type {Error} */ (error).message, { cause })
  }
  throw unavailable(explain(platform, cause), cause)
}

/** @param {string} message @param {unknown} cause */
function unavailable(message, cause) {
  return Object.assign(new Error(message, { cause }), { code: 'ERR_AUTH_BRIDGE_CONFIG' })
}

/** @param {Platform} platform @param {unknown} cause */
function explain(platform, cause) {
  const attempts = messages(cause)
  const isMissing = attempts.some((message) => message.startsWith(`Cannot find module '${platform.name}'`))
  if (isMissing) return explainMissing(platform)
  const reasons = attempts.filter((message) => !EXPECTED_FAILURE.test(message)).map((message) => message.split('\n')[0])
  return `authjs-bridge can't load its native part for ${describe(platform)}: ${reasons.join('; ')}`
}

/**
 * The commands that add optional dependencies to what was installed without, and a package from a file.
 *
 * @satisfies {Record<string, { complete: string, add: string, lock?: string }>}
 */
const MANAGERS = {
  // Its lock file can lack optional dependencies.
  npm: { complete: 'npm install --include=optional', add: 'npm install', lock: 'package-lock.json' },
  pnpm: { complete: 'pnpm install', add: 'pnpm add' },
  yarn: { complete: 'yarn install --force', add: 'yarn add' },
  bun: { complete: 'bun install', add: 'bun add' },
}

/** @param {Platform} platform */
function explainMissing(platform) {
  const manager = packageManager()
  /** @type {{ complete: string, add: string, lock?: string }} */
  const { complete, add, lock } = MANAGERS[manager]
  const [place, those] = lock ? ['The lock file or node_modules', 'both'] : ['node_modules', 'it']
  return `authjs-bridge lacks its native part for ${describe(platform)}: the package ${platform.name} is not installed.
The usual causes:
- ${manager} did not install optional dependencies. Install them, too:
    ${complete}
- ${place} comes from another platform. Delete ${those} and install again:
    ${deletion(lock)} ${manager} install
- It was built from source, and only one of its two tarballs was installed. Install both together:
    ${add} /path/to/tarballs/*.tgz`
}

/** @param {string} [lock] */
function deletion(lock) {
  if (process.platform === 'win32') return `rmdir /s /q node_modules &${lock ? ` del ${lock} &` : ''}`
  return `rm -rf node_modules${lock ? ` ${lock}` : ''} &&`
}

/** By what it leaves beside the packages. */
function packageManager() {
  const modules = dirname(__dirname)
  const has = (/** @type {string[]} */ ...path) => existsSync(join(modules, ...path))
  if (basename(dirname(dirname(modules))) === '.pnpm' || has('.modules.yaml')) return 'pnpm'
  if (has('.yarn-integrity')) return 'yarn'
  return has('..', 'bun.lock') || has('..', 'bun.lockb') ? 'bun' : 'npm'
}

/** @param {Omit<Platform, 'name'>} platform */
function describe({ os, cpu, libc }) {
  return [os, cpu, ...(libc ? [`(${libc})`] : [])].join(' ')
}

function libc() {
  if (process.platform !== 'linux') return undefined
  const report = /** @type {NodeJS.ProcessReport & { excludeNetwork?: boolean }} */ (process.report)
  // Otherwise it looks up the name of each peer, which may take seconds.
  report.excludeNetwork = true
  try {
    const { header } = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (report.getReport())
    return header.glibcVersionRuntime ? 'glibc' : 'musl'
  } catch {
    // Deno wants a permission for it that nothing else here needs. It runs on glibc only.
    return 'glibc'
  }
}

/**
 * The messages of all attempts: the loader chains their errors by `cause`, the first attempt last.
 * @param {unknown} error
 */
function messages(error) {
  const found = []
  for (let next = error; next instanceof Error; next = next.cause) found.push(next.message)
  return found
}

module.exports = { PLATFORMS, requireNative }
