// Tests the SBOMs of `scripts/sbom.mjs`. The first run builds cargo-cyclonedx.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Spec, Validation } from '@cyclonedx/cyclonedx-library'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PACKAGES } from '../../native.js'
import { makeSboms } from '../../scripts/sbom.mjs'

interface Component {
  name: string
  version: string
  scope: string
  purl: string
}

const names = Object.values(PACKAGES)

const root = fileURLToPath(new URL('../..', import.meta.url))
const lock = readFileSync(join(root, 'Cargo.lock'), 'utf8')
const locked = (name: string) => new RegExp(`name = "${name}"\nversion = "(.+)"`).exec(lock)?.[1] ?? 'missing'

let folder: string
let files: string[]
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'authjs-bridge-sboms-'))
  files = makeSboms(folder)
})
afterAll(() => rmSync(folder, { recursive: true }))

test('there is one for each platform package', () => {
  expect(files.map((file) => basename(file, '.cdx.json')).sort()).toEqual([...names].sort())
})

describe.each(names)('%s', (name) => {
  const text = () => readFileSync(join(folder, `${name}.cdx.json`), 'utf8')
  const sbom = () => JSON.parse(text()) as { metadata: { component: Component }; components: Component[] }
  const component = (wanted: string) => sbom().components.find(({ name }) => name === wanted)

  test('is valid CycloneDX', async () => {
    expect(await new Validation.JsonStrictValidator(Spec.Version.v1dot5).validate(text())).toBeNull()
  })

  test("describes the package, and doesn't contain the folder that it was built in", () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    expect(sbom().metadata.component).toMatchObject({ name, version, purl: `pkg:npm/${name}@${version}` })
    expect(text()).not.toContain('file://')
  })

  test('contains OpenSSL as scanners identify it', () => {
    const source = locked('openssl-src')
    const [, version] = source.split('+')
    expect(component('openssl-src')).toMatchObject({ version: source, scope: 'required' })
    const cpe = `cpe:2.3:a:openssl:openssl:${version}:*:*:*:*:*:*:*`
    const openssl = sbom().components.find(({ purl }) => purl === `pkg:generic/openssl@${version}`)
    expect(openssl).toMatchObject({ name: 'openssl', version, scope: 'required', cpe })
  })

  test('contains josekit and tokio-postgres in the locked versions, and no test dependency', () => {
    for (const crate of ['josekit', 'tokio-postgres']) {
      expect(component(crate)).toMatchObject({ version: locked(crate), purl: `pkg:cargo/${crate}@${locked(crate)}` })
    }
    expect(component('proptest')).toBeUndefined()
  })
})
