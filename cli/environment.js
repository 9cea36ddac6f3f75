// Sets the variables that Next.js would set for the app in a folder.

const { readFileSync } = require('node:fs')
const { createRequire } = require('node:module')
const { join } = require('node:path')
const { parseEnv } = require('node:util')

/** @typedef {{ name: string, contents: string }} EnvFile */

/** `$NAME`, `${NAME}` or `${NAME:-default}`, without a backslash before it. */
const REFERENCE = /(?<!\\)\$(?:\{(\w+)(?::-([^}\\]*))?\}|(\w+))/g
/** What authjs-bridge reads. */
const OURS = /^(AUTH_|NEXTAUTH_|DATABASE_URL$|PG[A-Z]+$)/

/**
 * What is set already stays as it is. The mode is that of NODE_ENV, which Next.js sets where nobody else has.
 *
 * @param {string} folder of the app
 * @param {{ production: boolean }} options
 */
function loadEnvironment(folder, { production }) {
  const mode = production ? 'production' : process.env.NODE_ENV || 'development'
  Object.assign(process.env, { NODE_ENV: mode })
  const before = { ...process.env }
  const files = readFiles(folder, mode)
  const nextEnv = findNextEnv(folder)
  if (nextEnv) nextEnv.loadEnvConfig(folder, mode === 'development', { info() {}, error() {} })
  else Object.assign(process.env, variablesOf(files, before))
  return {
    mode,
    files: files.map(({ name }) => name),
    loader: nextEnv ? '@next/env' : 'authjs-bridge',
    dangling: danglingReferences(files, before),
  }
}

/** In the order in which they count. @param {string} folder @param {string} mode */
function readFiles(folder, mode) {
  // Tests give everyone the same results.
  const local = mode === 'test' ? [] : ['.env.local']
  return [`.env.${mode}.local`, ...local, `.env.${mode}`, '.env'].flatMap((name) => {
    const contents = readIfThere(join(folder, name))
    return contents === undefined ? [] : [{ name, contents }]
  })
}

/** @param {string} path */
function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error)
    // A folder `.env` is a virtual environment of Python's.
    if (code === 'ENOENT' || code === 'EISDIR') return undefined
    throw Object.assign(new Error(`an .env file can't be read: ${message}`), { code: 'ERR_AUTH_BRIDGE_CONFIG' })
  }
}

/**
 * The app's own, also where a package manager hides it behind `next`.
 *
 * @param {string} folder
 * @returns {typeof import('@next/env') | undefined}
 */
function findNextEnv(folder) {
  const app = createRequire(join(folder, 'package.json'))
  for (const find of [() => createRequire(app.resolve('next/package.json')), () => app]) {
    try {
      return find()('@next/env')
    } catch {
      // Looked for elsewhere; without it the files are read here.
    }
  }
  return undefined
}

/** @param {EnvFile[]} files @param {NodeJS.ProcessEnv} before */
function variablesOf(files, before) {
  /** @type {Record<string, string>} */
  const found = {}
  for (const { contents } of files) {
    const parsed = parse(contents)
    for (const name of Object.keys(parsed)) {
      if (before[name] === undefined && found[name] === undefined) found[name] = expand(name, parsed, before)
    }
  }
  return found
}

/**
 * A reference stands for what is set, else for its default, else for what the same file says.
 *
 * @param {string} name
 * @param {Record<string, string>} parsed
 * @param {NodeJS.ProcessEnv} before
 * @param {string[]} above the references that led here
 * @returns {string}
 */
function expand(name, parsed, before, above = []) {
  if (above.includes(name)) return ''
  const value = (parsed[name] ?? '').replace(REFERENCE, (_, braced, fallback, bare) => {
    const referred = braced ?? bare
    return before[referred] || fallback || expand(referred, parsed, before, [...above, name])
  })
  return value.replaceAll('\\$', '$')
}

/**
 * References in our variables to nothing: most likely a password with a `$` in it, which Next.js cuts.
 *
 * @param {EnvFile[]} files
 * @param {NodeJS.ProcessEnv} before
 */
function danglingReferences(files, before) {
  return files.flatMap(({ name: file, contents }) => {
    const parsed = parse(contents)
    const ours = Object.entries(parsed).filter(([name]) => OURS.test(name) && before[name] === undefined)
    return ours.flatMap(([variable, value]) => {
      const isDangling = [...value.matchAll(REFERENCE)].some(([, braced, fallback, bare]) => {
        const referred = braced ?? bare
        return !before[referred] && !fallback && !parsed[referred]
      })
      return isDangling ? [{ file, variable }] : []
    })
  })
}

/** @param {string} contents @returns {Record<string, string>} */
function parse(contents) {
  return /** @type {Record<string, string>} */ (parseEnv(contents))
}

module.exports = { loadEnvironment }
