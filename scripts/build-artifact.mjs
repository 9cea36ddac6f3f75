// Builds the native part for publishing, into artifacts/; for a target that is not published, into target/unpublished/.
//
//   node scripts/build-artifact.mjs [--target=aarch64-unknown-linux-musl]
//
// For Linux it uses zig as compiler and linker: zig builds for glibc and musl, x64 and arm64, and the result runs with the
// glibc version below, whatever the build machine has. For `x86_64-pc-windows-gnu` it takes MinGW-w64.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { parseTriple } from '@napi-rs/cli'

/** The oldest version that Rust supports, from 2012. */
const GLIBC = '2.17'
/** OpenSSL needs no unwind tables: no panic leaves a callback. */
const CFLAGS = '-fno-asynchronous-unwind-tables -fno-unwind-tables'
const ZIG = ['cargo-zigbuild==0.24.1', 'ziglang==0.15.2']

const root = fileURLToPath(new URL('..', import.meta.url))
const { values: options } = parseArgs({ options: { target: { type: 'string', default: hostTarget() } } })
const { platform, abi } = parseTriple(options.target)
const linux = platform === 'linux'
const target = linux && abi === 'gnu' ? `${options.target}.${GLIBC}` : options.target

installStandardLibrary()
const cli = fileURLToPath(import.meta.resolve('@napi-rs/cli/package.json').replace('package.json', 'dist/cli.js'))
const { napi } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const folder = napi.targets.includes(options.target) ? 'artifacts' : join('target', 'unpublished')
const types = relative(folder, join('target', 'index.d.ts'))
const output = ['--platform', '--no-js', '--dts', types, '--output-dir', folder]
const profile = ['--profile', 'dist', '--target', target, ...(linux ? ['--cross-compile'] : []), '--', '--locked']
const PATH = [...(linux ? [installZig()] : []), process.env.PATH].join(delimiter)
const RUSTFLAGS = [process.env.RUSTFLAGS, ...remapFlags()].join(' ').trim()
execFileSync(process.execPath, [cli, 'build', ...output, ...profile], {
  cwd: root,
  env: {
    ...process.env,
    PATH,
    RUSTFLAGS,
    ...(linux && { CFLAGS }),
    ...(platform === 'win32' && abi === 'gnu' && withoutLibnode()),
  },
  stdio: 'inherit',
})

function hostTarget() {
  const [, host] = /^host: (.+)$/m.exec(rustc('-vV')) ?? []
  return host
}

/** Panic messages in the binary contain paths of source files. Keep the folders of the build machine out of them. */
function remapFlags() {
  const cargo = process.env.CARGO_HOME ?? join(homedir(), '.cargo')
  const renamed = { [cargo]: '/cargo', [rustc('--print=sysroot').trim()]: '/rust', [root]: '/authjs-bridge/' }
  return Object.entries(renamed).map(([from, to]) => `--remap-path-prefix=${from}=${to}`)
}

/** For another target than that of this machine, rustup has to bring it. */
function installStandardLibrary() {
  const libraries = join(rustc('--print=sysroot').trim(), 'lib', 'rustlib')
  if (existsSync(join(libraries, options.target))) return
  execFileSync('rustup', ['target', 'add', options.target], { stdio: 'inherit' })
}

/** @param {string} flag */
function rustc(flag) {
  return execFileSync('rustc', [flag], { encoding: 'utf8' })
}

/** `napi-build` links `libnode.dll`, which the Node.js of nodejs.org doesn't have. The addon finds its functions when it is loaded. */
function withoutLibnode() {
  const LIBNODE_PATH = join(root, 'target', 'libnode')
  mkdirSync(LIBNODE_PATH, { recursive: true })
  for (const empty of ['libnode.dll', 'libnode.dll.a']) writeFileSync(join(LIBNODE_PATH, empty), '!<arch>\n')
  return { LIBNODE_PATH }
}

/** Installs zig on the first call. @returns {string} the folder with cargo-zigbuild and zig */
function installZig() {
  const environment = join(root, 'target', 'zig')
  const programs = join(environment, 'bin')
  if (!existsSync(join(programs, 'cargo-zigbuild'))) {
    execFileSync('python3', ['-m', 'venv', environment], { stdio: 'inherit' })
    execFileSync(join(programs, 'pip'), ['install', '--quiet', ...ZIG], { stdio: 'inherit' })
  }
  return programs
}
