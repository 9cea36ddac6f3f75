// The OpenSSL that the usual build has made from source, for builds of other kinds: it takes minutes to make it again.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** @returns the environment in which a build links it; the usual build is made first where it is not there */
export function builtOpenssl() {
  const built = cargoBuild([], process.env).find(
    ({ reason, package_id }) => reason === 'build-script-executed' && /\bopenssl-sys\b/.test(package_id),
  )
  return {
    OPENSSL_DIR: join(built.out_dir, 'openssl-build', 'install'),
    OPENSSL_NO_VENDOR: '1',
    OPENSSL_STATIC: '1',
  }
}

/**
 * @param {string[]} flags
 * @param {NodeJS.ProcessEnv} env
 * @returns {any[]} what cargo says of each step of the addon's build
 */
export function cargoBuild(flags, env) {
  const args = ['build', '--release', '--locked', '--lib', '--message-format=json', ...flags]
  const output = execFileSync('cargo', args, {
    cwd: ROOT,
    env,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return output
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
}
