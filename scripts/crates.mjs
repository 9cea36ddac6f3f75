// Lists the crates that are linked into the published binaries. Proc macros, build scripts and their dependencies run at
// build time and are not linked. The exception is the crate with the C source of OpenSSL, which a build script compiles.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * @typedef {{ id: string, name: string, version: string, license: string, authors: string[], manifest_path: string,
 *   targets: { kind: string[] }[] }} Crate
 * @typedef {{ pkg: string, dep_kinds: { kind: string | null }[] }} Dependency
 * @typedef {{ packages: Crate[], resolve: { root: string, nodes: { id: string, deps: Dependency[] }[] } }} Metadata
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** The triples that have platform packages. */
export const TARGETS = /** @type {string[]} */ (JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')).napi.targets)

/** The crate with the C source of OpenSSL. Its version ends with OpenSSL's version: `300.6.1+3.6.3`. */
const OPENSSL_SOURCE = 'openssl-src'

/** @returns {Crate[]} the crates that are linked on any platform, sorted by name, without this one */
export function linkedCrates() {
  /** @type {Map<string, Crate>} */
  const linked = new Map()
  for (const target of TARGETS) {
    const { packages, resolve } = metadata(target)
    const crates = new Map(packages.map((crate) => [crate.id, crate]))
    const nodes = new Map(resolve.nodes.map((node) => [node.id, node]))
    const waiting = [resolve.root]
    const seen = new Set(waiting)
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      for (const { pkg, dep_kinds } of nodes.get(id)?.deps ?? []) {
        const crate = crates.get(pkg)
        if (!crate || seen.has(pkg) || !isLinked(crate, dep_kinds)) continue
        seen.add(pkg)
        waiting.push(pkg)
        linked.set(pkg, crate)
      }
    }
    const source = packages.find(({ name }) => name === OPENSSL_SOURCE)
    if (!source) throw new Error(`${OPENSSL_SOURCE} is not in the dependency tree of ${target}`)
    linked.set(source.id, source)
  }
  return [...linked.values()].sort((one, other) => (one.name < other.name ? -1 : 1))
}

/** @param {{ version: string }} source @returns {string} the version of OpenSSL */
export function opensslVersion({ version }) {
  return version.slice(version.indexOf('+') + 1)
}

/** @param {{ name: string }} crate */
export function isOpensslSource({ name }) {
  return name === OPENSSL_SOURCE
}

/** @param {Crate} crate @param {Dependency['dep_kinds']} kinds */
function isLinked({ targets }, kinds) {
  const isMacro = targets.some(({ kind }) => kind.includes('proc-macro'))
  return !isMacro && kinds.some(({ kind }) => kind === null)
}

/** @param {string} target @returns {Metadata} */
function metadata(target) {
  const args = ['metadata', '--format-version', '1', '--locked', '--filter-platform', target]
  return JSON.parse(
    execFileSync('cargo', args, {
      cwd: ROOT,
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  )
}
