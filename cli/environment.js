// Sets the environment variables that Next.js would set for the app in a folder.
//
// If the app has `@next/env`, that sets them. The files are parsed here as well, to find problems that `@next/env` doesn't
// report: a value that the environment overrides, a `$NAME` whose variable is not set, a file that can't be read.

const { existsSync, readFileSync } = require('node:fs')
const { createRequire } = require('node:module')
const { join } = require('node:path')
const { parseEnv } = require('node:util')

/** @typedef {{ name: string, contents: string }} EnvFile */

/** `$NAME`, `${NAME}` or `${NAME:-default}`, without a backslash before it. */
const REFERENCE = /(?<!\\)\$(?:\{(\w+)(?::-([^}\\]*))?\}|(\w+))/g
/** The variables that authjs-bridge reads. */
const OWN_VARIABLES = /^(AUTH_|NEXTAUTH_|DATABASE_URL$|PG[A-Z]+$)/

/**
 * Variables that are already set keep their value. NODE_ENV is set to the mode if it is not set, as Next.js does, and
 * always with `production`.
 *
 * @param {string} folder of the app
 * @param {{ production: boolean }} options
 */
function loadEnvironment(folder, { production }) {
  const mode = modeOf(production ? 'production' : process.env.NODE_ENV)
  if (production || !process.env.NODE_ENV) Object.assign(process.env, { NODE_ENV: mode })
  const files = readFiles(folder, mode)
  const { variables, dangling, hidden } = mergeFiles(files, process.env)
  const nextEnv = findNextEnv(folder)
  if (nextEnv) nextEnv.loadEnvConfig(folder, mode === 'development', { info() {}, error() {} })
  else Object.assign(process.env, variables)
  return {
    mode,
    files: files.map(({ name }) => name),
    loader: nextEnv ? '@next/env' : 'authjs-bridge',
    dangling,
    hidden,
    unread: describeUnread(folder),
  }
}

/**
 * What to say where the files of production are in the folder, but are not read: an operator may mean those. Undefined if
 * there are none. Call it after `loadEnvironment`.
 *
 * @param {string} folder of the app
 */
function describeUnread(folder) {
  if (process.env.NODE_ENV === 'production') return undefined
  const present = ['.env.production.local', '.env.production'].filter((name) => existsSync(join(folder, name)))
  if (present.length > 0) return `${present.join(', ')} ${present.length > 1 ? 'are' : 'is'} read with --production`
}

/** Next.js knows these three modes only. @param {string | undefined} nodeEnv */
function modeOf(nodeEnv) {
  return nodeEnv === 'production' || nodeEnv === 'test' ? nodeEnv : 'development'
}

/** Highest precedence first. @param {string} folder @param {string} mode */
function readFiles(folder, mode) {
  // Next.js skips .env.local in tests, so that they give the same results on every machine.
  const local = mode === 'test' ? [] : ['.env.local']
  return [`.env.${mode}.local`, ...local, `.env.${mode}`, '.env'].flatMap((name) => {
    const contents = readIfExists(join(folder, name))
    return contents === undefined ? [] : [{ name, contents }]
  })
}

/** @param {string} path */
function readIfExists(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error)
    // A folder named `.env` is usually a virtual environment of Python.
    if (code === 'ENOENT' || code === 'EISDIR') return undefined
    throw Object.assign(new Error(`an .env file can't be read: ${message}`), { code: 'ERR_AUTH_BRIDGE_CONFIG' })
  }
}

/**
 * The app's `@next/env`. Strict package managers install it where only `next` can resolve it, so that is tried first.
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
      // Try the next place. Without `@next/env`, `loadEnvironment` sets the variables itself.
    }
  }
  return undefined
}

/**
 * Merges the files into the environment, and reports two problems of the variables that authjs-bridge reads:
 * - `dangling`: the value refers to a variable that is not set. Most likely it is a password with a `$`, which Next.js
 *   would cut there.
 * - `hidden`: the environment has another value, which takes precedence over the file's.
 *
 * @param {EnvFile[]} files
 * @param {NodeJS.ProcessEnv} env
 */
function mergeFiles(files, env) {
  const variables = { ...env }
  const dangling = []
  const hidden = []
  for (const { name: file, contents } of files) {
    const parsed = /** @type {Record<string, string>} */ (parseEnv(contents))
    const added = Object.entries(parsed).filter(([variable]) => variables[variable] === undefined)
    for (const [variable, value] of added) {
      if (OWN_VARIABLES.test(variable) && isDangling(value, parsed, variables)) dangling.push({ file, variable })
    }
    for (const variable of Object.keys(parsed)) {
      const isHidden = env[variable] !== undefined && env[variable] !== expand(variable, parsed, variables)
      if (OWN_VARIABLES.test(variable) && isHidden) hidden.push({ file, variable })
    }
    Object.assign(variables, Object.fromEntries(added.map(([name]) => [name, expand(name, parsed, variables)])))
  }
  return { variables, dangling, hidden }
}

/**
 * The value of `variable` with its references replaced: by the variable that is set, else by the default, else by the value
 * in the same file. Next.js does the same.
 *
 * @param {string} variable
 * @param {Record<string, string>} parsed
 * @param {NodeJS.ProcessEnv} variables
 * @param {string[]} ancestors the variables whose references led here; a cycle expands to nothing
 * @returns {string}
 */
function expand(variable, parsed, variables, ancestors = []) {
  if (ancestors.includes(variable)) return ''
  const value = (parsed[variable] ?? '').replace(REFERENCE, (_, braced, fallback, bare) => {
    const referred = braced ?? bare
    return variables[referred] || fallback || expand(referred, parsed, variables, [...ancestors, variable])
  })
  return value.replaceAll('\\$', '$')
}

/** @param {string} value @param {Record<string, string>} parsed @param {NodeJS.ProcessEnv} variables */
function isDangling(value, parsed, variables) {
  return [...value.matchAll(REFERENCE)].some(([, braced, fallback, bare]) => {
    const referred = braced ?? bare ?? ''
    return !variables[referred] && !fallback && !parsed[referred]
  })
}

module.exports = { describeUnread, loadEnvironment }
