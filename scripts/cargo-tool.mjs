// Runs a tool from crates.io in a pinned version. The first run builds it, which takes minutes.
//
//   node scripts/cargo-tool.mjs cargo-deny check bans

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const VERSIONS = { 'cargo-cyclonedx': '0.5.9', 'cargo-deny': '0.20.2' }

const ROOT = fileURLToPath(new URL('..', import.meta.url))

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [name, ...args] = process.argv.slice(2)
  if (!(name in VERSIONS)) throw new Error(`unknown tool ${name}; the tools are ${Object.keys(VERSIONS).join(' and ')}`)
  const tool = cargoTool(/** @type {keyof typeof VERSIONS} */ (name))
  process.exitCode = spawnSync(tool, args, { cwd: ROOT, stdio: 'inherit' }).status ?? 1
}

/**
 * @param {keyof typeof VERSIONS} name
 * @returns {string} the path of the program
 */
export function cargoTool(name) {
  const version = VERSIONS[name]
  const folder = join(ROOT, 'target', 'tools', `${name}-${version}`)
  const program = join(folder, 'bin', process.platform === 'win32' ? `${name}.exe` : name)
  if (!existsSync(program)) {
    const args = ['install', name, '--version', `=${version}`, '--locked', '--debug', '--root', folder]
    // Debug builds take half the time, and the tools are fast enough without optimization.
    execFileSync('cargo', args, { env: { ...process.env, CARGO_PROFILE_DEV_DEBUG: '0' }, stdio: 'inherit' })
  }
  return program
}
