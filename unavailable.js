// The error where the native part is missing or doesn't load: what is wrong, and what to do about it.

const { existsSync } = require('node:fs')
const { basename, dirname, join } = require('node:path')
const { PACKAGES } = require('./native.js')

/** @param {string} platform @param {string | undefined} name of its package @param {unknown} cause */
function unavailable(platform, name, cause) {
  return Object.assign(new Error(explain(platform, name, cause), { cause }), { code: 'ERR_AUTH_BRIDGE_CONFIG' })
}

/** @param {string} platform @param {string | undefined} name @param {unknown} cause */
function explain(platform, name, cause) {
  const { message } = /** @type {Error} */ (cause)
  if (!name) return `authjs-bridge has no build for ${platform}, only for ${Object.keys(PACKAGES).join(', ')}.`
  if (message.startsWith(`Cannot find module '${name}'`)) return explainMissing(platform, name)
  return `authjs-bridge can't load its native part for ${platform}: ${message.split('\n')[0]}`
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

/** @param {string} platform @param {string} name */
function explainMissing(platform, name) {
  const manager = packageManager()
  /** @type {{ complete: string, add: string, lock?: string }} */
  const { complete, add, lock } = MANAGERS[manager]
  const [place, those] = lock ? ['The lock file or node_modules', 'both'] : ['node_modules', 'it']
  return `authjs-bridge lacks its native part for ${platform}: the package ${name} is not installed.
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

module.exports = { unavailable }
