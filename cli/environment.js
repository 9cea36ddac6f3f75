// Sets the variables that Next.js would set for the app in a folder.
//
// The app's own `@next/env` sets them where there is one. The files are read here as well, for what that does not tell: the
// value that a file has for a variable which is set already, a `$` that stands for nothing, and a file that can't be read.

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
 * What is set already stays as it is. NODE_ENV is set where nobody else has, as Next.js does it.
 *
 * @param {string} folder of the app
 * @param {{ production: boolean }} options
 */
function loadEnvironment(folder, { production }) {
  const mode = modeOf(production ? 'production' : process.env.NODE_ENV)
  if (production || !process.env.NODE_ENV) Object.assign(process.env, { NODE_ENV: mode })
  const files = readFiles(folder, mode)
  const { variables, dangling, hidden } = variablesOf(files, process.env)
  const nextEnv = findNextEnv(folder)
  if (nextEnv) nextEnv.loadEnvConfig(folder, mode === 'development', { info() {}, error() {} })
  else Object.assign(process.env, variables)
  return {
    mode,
    files: files.map(({ name }) => name),
    loader: nextEnv ? '@next/env' : 'authjs-bridge',
    dangling,
    hidden,
  }
}

/** Next.js knows no other. @param {string | undefined} nodeEnv */
function modeOf(nodeEnv) {
  return nodeEnv === 'production' || nodeEnv === 'test' ? nodeEnv : 'development'
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

/**
 * The variables with those of the files. Of ours, which have references to nothing: most likely a password with a `$` in it,
 * which Next.js cuts; and which the files set in vain, since the environment has another value.
 *
 * @param {EnvFile[]} files
 * @param {NodeJS.ProcessEnv} before
 */
function variablesOf(files, before) {
  const variables = { ...before }
  const dangling = []
  const hidden = []
  for (const { name: file, contents } of files) {
    const parsed = /** @type {Record<string, string>} */ (parseEnv(contents))
    const fresh = Object.entries(parsed).filter(([variable]) => variables[variable] === undefined)
    for (const [variable, value] of fresh) {
      if (OURS.test(variable) && isDangling(value, parsed, variables)) dangling.push({ file, variable })
    }
    for (const variable of Object.keys(parsed)) {
      const isOther = before[variable] !== undefined && before[variable] !== expand(variable, parsed, variables)
      if (OURS.test(variable) && isOther) hidden.push({ file, variable })
    }
    Object.assign(variables, Object.fromEntries(fresh.map(([name]) => [name, expand(name, parsed, variables)])))
  }
  return { variables, dangling, hidden }
}

/**
 * A reference stands for what is set, else for its default, else for what the same file says.
 *
 * @param {string} variable
 * @param {Record<string, string>} parsed
 * @param {NodeJS.ProcessEnv} variables
 * @param {string[]} above the references that led here
 * @returns {string}
 */
function expand(variable, parsed, variables, above = []) {
  if (above.includes(variable)) return ''
  const value = (parsed[variable] ?? '').replace(REFERENCE, (_, braced, fallback, bare) => {
    const referred = braced ?? bare
    return variables[referred] || fallback || expand(referred, parsed, variables, [...above, variable])
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

module.exports = { loadEnvironment }
