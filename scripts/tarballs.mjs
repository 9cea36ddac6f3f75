// Packs the tarballs to install or to publish: the main package, and a package with the native part for each platform. Runs
// the steps of the napi CLI in a copy of the package, since they change package.json.
//
//   npm run tarballs [-- --artifacts=<folder of .node files> --output=<folder> --all]
//
// Without --all it packs the platforms that have a .node file; with --all, a missing one is an error.

import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { parseTriple } from '@napi-rs/cli'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const CLI = fileURLToPath(import.meta.resolve('@napi-rs/cli/package.json').replace('package.json', 'dist/cli.js'))

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values: options } = parseArgs({
    options: {
      artifacts: { type: 'string', default: ROOT },
      output: { type: 'string', default: 'tarballs' },
      all: { type: 'boolean', default: false },
    },
  })
  for (const tarball of makeTarballs(options)) console.log(tarball)
}

/**
 * @param {{ artifacts?: string, output: string, all?: boolean }} options
 * @returns {string[]} the paths of the tarballs, that of the main package first
 */
export function makeTarballs({ artifacts = ROOT, output, all = false }) {
  const destination = resolve(output)
  mkdirSync(destination, { recursive: true })
  const workspace = mkdtempSync(join(tmpdir(), 'authjs-bridge-tarballs-'))
  try {
    const copy = copyPackage(workspace)
    const collected = join(workspace, 'artifacts')
    mkdirSync(collected)
    const binaries = readdirSync(artifacts).filter((file) => file.endsWith('.node'))
    for (const binary of binaries) copyFileSync(join(artifacts, binary), join(collected, binary))
    if (!all) keepTargets(copy, binaries)

    napi(copy, 'create-npm-dirs')
    napi(copy, 'artifacts', '--output-dir', collected)
    napi(copy, 'pre-publish', '--skip-optional-publish', '--no-gh-release', '--tag-style', 'npm')
    const platforms = readdirSync(join(copy, 'npm')).map((name) => join(copy, 'npm', name))
    for (const folder of platforms) addLicenses(folder)
    return [copy, ...platforms].map((folder) => pack(folder, destination))
  } finally {
    rmSync(workspace, { recursive: true })
  }
}

/** @param {string} workspace */
function copyPackage(workspace) {
  execFileSync('tar', ['-xzf', pack(ROOT, workspace), '-C', workspace])
  return join(workspace, 'package')
}

/** Removes the targets that have no binary. @param {string} folder @param {string[]} binaries */
function keepTargets(folder, binaries) {
  const file = join(folder, 'package.json')
  const manifest = JSON.parse(readFileSync(file, 'utf8'))
  const { binaryName, targets } = manifest.napi
  manifest.napi.targets = targets.filter((/** @type {string} */ triple) =>
    binaries.includes(`${binaryName}.${parseTriple(triple).platformArchABI}.node`),
  )
  if (manifest.napi.targets.length === 0) throw new Error('No .node file found; run: npm run build')
  writeFileSync(file, JSON.stringify(manifest, null, 2))
}

/** @param {string} folder */
function addLicenses(folder) {
  for (const name of ['LICENSE', 'THIRD-PARTY-LICENSES']) copyFileSync(join(ROOT, name), join(folder, name))
  const file = join(folder, 'package.json')
  const manifest = JSON.parse(readFileSync(file, 'utf8'))
  manifest.files.push('THIRD-PARTY-LICENSES')
  writeFileSync(file, JSON.stringify(manifest, null, 2))
}

/** @param {string} cwd @param {string[]} args */
function napi(cwd, ...args) {
  execFileSync(process.execPath, [CLI, ...args], { cwd, encoding: 'utf8', stdio: 'pipe' })
}

/** @param {string} cwd @param {string} destination */
function pack(cwd, destination) {
  const args = ['pack', '--silent', '--pack-destination', destination]
  const name = execFileSync('npm', args, { cwd, encoding: 'utf8', shell: process.platform === 'win32' }).trim()
  return join(destination, name)
}
