// Runs cargo and reads its messages, for scripts that need build outputs.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** The cargo command that builds the addon. */
export const ADDON = ['build', '--release', '--locked', '--lib']

/**
 * @param {string[]} command
 * @param {NodeJS.ProcessEnv} env
 * @returns {any[]} cargo's JSON messages, one per step
 */
export function cargoMessages(command, env) {
  const output = execFileSync('cargo', [...command, '--message-format=json-render-diagnostics'], {
    cwd: ROOT,
    env,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return output
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
}

/**
 * Builds the addon if necessary, so that another build can link its OpenSSL. Compiling OpenSSL again would take minutes.
 *
 * @returns environment variables for the other build
 */
export function builtOpenssl() {
  const openssl = ['build', '--release', '--locked', '--package=openssl-sys']
  const built = cargoMessages(openssl, process.env).find(
    ({ reason, package_id }) => reason === 'build-script-executed' && /\bopenssl-sys\b/.test(package_id),
  )
  return {
    OPENSSL_DIR: join(built.out_dir, 'openssl-build', 'install'),
    OPENSSL_NO_VENDOR: '1',
    OPENSSL_STATIC: '1',
  }
}
