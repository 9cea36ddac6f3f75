// Loads the native part: the package for this platform, which is an optional dependency of this one.

const { closeSync, existsSync, openSync, readSync } = require('node:fs')
const { join } = require('node:path')
const { version } = require('./package.json')

/** The package for each platform. @type {Record<string, string>} */
const PACKAGES = {
  'linux x64 (glibc)': 'authjs-bridge-linux-x64-gnu',
  'linux arm64 (glibc)': 'authjs-bridge-linux-arm64-gnu',
  'linux x64 (musl)': 'authjs-bridge-linux-x64-musl',
  'linux arm64 (musl)': 'authjs-bridge-linux-arm64-musl',
  'darwin x64': 'authjs-bridge-darwin-x64',
  'darwin arm64': 'authjs-bridge-darwin-arm64',
  'win32 x64': 'authjs-bridge-win32-x64-msvc',
  'win32 arm64': 'authjs-bridge-win32-arm64-msvc',
}

function loadNative() {
  const platform = [process.platform, process.arch, ...(process.platform === 'linux' ? [`(${libc()})`] : [])].join(' ')
  const name = PACKAGES[platform]
  try {
    const file = process.env.NAPI_RS_NATIVE_LIBRARY_PATH || builtHere(name)
    if (file) return ofThisVersion(require(file))
    // Each name is written out, for what traces the files of an app. In a `try`, a bundler may miss a package.
    if (name === 'authjs-bridge-linux-x64-gnu') return ofThisVersion(require('authjs-bridge-linux-x64-gnu'))
    if (name === 'authjs-bridge-linux-arm64-gnu') return ofThisVersion(require('authjs-bridge-linux-arm64-gnu'))
    if (name === 'authjs-bridge-linux-x64-musl') return ofThisVersion(require('authjs-bridge-linux-x64-musl'))
    if (name === 'authjs-bridge-linux-arm64-musl') return ofThisVersion(require('authjs-bridge-linux-arm64-musl'))
    if (name === 'authjs-bridge-darwin-x64') return ofThisVersion(require('authjs-bridge-darwin-x64'))
    if (name === 'authjs-bridge-darwin-arm64') return ofThisVersion(require('authjs-bridge-darwin-arm64'))
    if (name === 'authjs-bridge-win32-x64-msvc') return ofThisVersion(require('authjs-bridge-win32-x64-msvc'))
    if (name === 'authjs-bridge-win32-arm64-msvc') return ofThisVersion(require('authjs-bridge-win32-arm64-msvc'))
    throw new Error(`there is no package for ${platform}`)
  } catch (cause) {
    throw require('./unavailable.js').unavailable(platform, name, cause)
  }
}

/** @template {{ versions(): { authjsBridge: string } }} T @param {T} native */
function ofThisVersion(native) {
  const { authjsBridge } = native.versions()
  if (authjsBridge !== version) throw new Error(`it has the version ${authjsBridge}, not ${version}`)
  return native
}

/** What `npm run build` made, in a clone of the repository. @param {string} [name] */
function builtHere(name = '') {
  const file = join(__dirname, `${name.replace('bridge-', 'bridge.')}.node`)
  return existsSync(file) && file
}

/** The C library that Node.js runs on. That of the system may be another. */
function libc() {
  const [, loader] = /\/ld-(linux|musl)-/.exec(beginningOf(process.execPath)) ?? []
  if (loader) return loader === 'musl' ? 'musl' : 'glibc'
  const report = /** @type {NodeJS.ProcessReport & { excludeNetwork?: boolean }} */ (process.report)
  const { excludeNetwork } = report
  try {
    // Otherwise it looks up the name of each peer, which may take seconds.
    report.excludeNetwork = true
    const { header } = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (report.getReport())
    return header.glibcVersionRuntime ? 'glibc' : 'musl'
  } catch {
    // Deno wants a permission for it that nothing else here needs. It runs on glibc only.
    return 'glibc'
  } finally {
    report.excludeNetwork = excludeNetwork
  }
}

/** Most programs name the loader of their C library here. @param {string} program */
function beginningOf(program) {
  try {
    const file = openSync(program, 'r')
    const bytes = Buffer.alloc(2048)
    readSync(file, bytes)
    closeSync(file)
    return bytes.toString('latin1')
  } catch {
    return ''
  }
}

module.exports = { PACKAGES, loadNative }
