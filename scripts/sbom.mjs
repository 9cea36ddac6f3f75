// Writes an SBOM in CycloneDX format for each platform package.
//
//   node scripts/sbom.mjs [--output=sboms]

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { parseTriple } from '@napi-rs/cli'
import { cargoTool } from './cargo-tool.mjs'
import { isOpensslSource, opensslVersion, TARGETS } from './crates.mjs'

/**
 * @typedef {{ type: string, 'bom-ref': string, name: string, version: string, purl?: string, cpe?: string, scope?: string,
 *   description?: string, licenses?: object[], components?: object[] }} Component
 * @typedef {{ metadata: { component: Component }, components: Component[],
 *   dependencies: { ref: string, dependsOn?: string[] }[] }} Sbom
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url))

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values: options } = parseArgs({ options: { output: { type: 'string', default: 'sboms' } } })
  for (const file of makeSboms(options.output)) console.log(file)
}

/**
 * @param {string} output
 * @returns {string[]} the paths of the files
 */
export function makeSboms(output) {
  const folder = resolve(output)
  mkdirSync(folder, { recursive: true })
  return TARGETS.map((target) => {
    const name = `authjs-bridge-${parseTriple(target).platformArchABI}`
    const file = join(folder, `${name}.cdx.json`)
    writeFileSync(file, `${JSON.stringify(completeSbom(sbomOf(target), name), null, 2)}\n`)
    return file
  })
}

/** @param {string} target @returns {Sbom} */
function sbomOf(target) {
  const name = 'temporary-sbom'
  // The tool can only write next to Cargo.toml, for each package of the workspace.
  const file = join(ROOT, `${name}.json`)
  const ofBenchmark = join(ROOT, 'benchmark', `${name}.json`)
  const args = ['cyclonedx', '--quiet', '--format=json', '--spec-version=1.5', '--override-filename', name]
  try {
    execFileSync(cargoTool('cargo-cyclonedx'), [...args, '--target', target], { cwd: ROOT, stdio: 'inherit' })
    return JSON.parse(readFileSync(file, 'utf8').replaceAll(/path\+file:\/\/[^"#]*#/g, ''))
  } finally {
    for (const written of [file, ofBenchmark]) rmSync(written, { force: true })
  }
}

/**
 * Replaces the crate by the platform package, and adds OpenSSL: the tool lists its source as a build-time dependency only.
 *
 * @param {Sbom} sbom
 * @param {string} name
 */
function completeSbom(sbom, name) {
  const { 'bom-ref': ref, version, description, licenses } = sbom.metadata.component
  const purl = `pkg:npm/${name}@${version}`
  sbom.metadata.component = { type: 'library', 'bom-ref': ref, name, version, description, licenses, purl }

  const source = sbom.components.find(isOpensslSource)
  if (!source) throw new Error('the crate with the source of OpenSSL is missing')
  source.scope = 'required'
  const openssl = opensslComponent(opensslVersion(source))
  sbom.components.push(openssl)
  const edges = sbom.dependencies.find((dependency) => dependency.ref === source['bom-ref'])
  edges?.dependsOn?.push(openssl['bom-ref'])
  sbom.dependencies.push({ ref: openssl['bom-ref'] })
  return sbom
}

/** Scanners identify OpenSSL by its CPE. @param {string} version @returns {Component} */
function opensslComponent(version) {
  const purl = `pkg:generic/openssl@${version}`
  return {
    type: 'library',
    'bom-ref': purl,
    name: 'openssl',
    version,
    description: 'The OpenSSL library, linked in',
    scope: 'required',
    licenses: [{ expression: 'Apache-2.0' }],
    cpe: `cpe:2.3:a:openssl:openssl:${version}:*:*:*:*:*:*:*`,
    purl,
  }
}
