// What cargo builds, for scripts that need a part of it.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** The addon, as the usual build makes it. */
export const ADDON = ['build', '--release', '--locked', '--lib']

/**
 * @param {string[]} command
 * @param {NodeJS.ProcessEnv} env
 * @returns {any[]} what cargo says of each of its steps
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
 * The OpenSSL of the usual build, which is made first where it is not there. To make it again takes minutes.
 *
 * @returns the environment in which another build links it
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
