// Starts an npm registry that has the given tarballs only.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename } from 'node:path'

export async function startRegistry(tarballs: string[]) {
  const files = new Map(tarballs.map((path) => [basename(path), readFileSync(path)]))
  const manifests = new Map(
    tarballs.map((path) => [manifestOf(path).name, { ...manifestOf(path), file: basename(path) }]),
  )
  const downloads: string[] = []

  const server = createServer((request, response) => {
    const name = basename(request.url ?? '')
    const tarball = files.get(name)
    if (tarball) {
      downloads.push(name)
      return response.end(tarball)
    }
    const manifest = manifests.get(name)
    if (!manifest) return response.writeHead(404).end()
    const integrity = `sha512-${createHash('sha512')
      .update(files.get(manifest.file) ?? '')
      .digest('base64')}`
    const dist = { tarball: `${url}/${name}/-/${manifest.file}`, integrity }
    const versions = { [manifest.version]: { ...manifest, dist } }
    response.end(JSON.stringify({ name, 'dist-tags': { latest: manifest.version }, versions }))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  return {
    url,
    /** The names of the tarballs that were downloaded since the last call. */
    takeDownloads: () => downloads.splice(0).sort(),
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** The `package.json` in a tarball. */
export function manifestOf(tarball: string) {
  return JSON.parse(execFileSync('tar', ['-xzOf', tarball, 'package/package.json'], { encoding: 'utf8' }))
}
