// Runs Next.js apps with this package as users have it: packed and installed.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rename } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { makeTarballs } from '../../scripts/tarballs.mjs'
import { OWN_VARIABLES } from './variables.mjs'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Variables of the caller's shell, npm or vitest that would change how an app runs. */
const FOREIGN = /^(PORT$|SESSION_SECONDS$|VITEST|npm_(?!config_registry))/

/** @param {Record<string, string | undefined>} [more] */
export function cleanEnvironment(more = {}) {
  const own = Object.entries(process.env).filter(([name]) => !OWN_VARIABLES.test(name) && !FOREIGN.test(name))
  return { ...Object.fromEntries(own), NEXT_TELEMETRY_DISABLED: '1', ...more }
}

/**
 * Installs the packages of the app's lock file, and the two tarballs of this package.
 *
 * @param {string} app
 * @param {...string} more what is installed besides, or in another version
 */
export async function installWithPackage(app, ...more) {
  const [main, native] = makeTarballs({ output: app })
  if (!main || !native) throw new Error('run first: npm run build')
  await rename(main, join(app, 'authjs-bridge.tgz'))
  await run('npm', ['ci'], { cwd: app })
  await run('npm', ['install', '--no-save', native, ...more], { cwd: app })
}

/**
 * Runs a command to its end. If it fails, the error has its output.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd: string, env?: Record<string, string | undefined> }} options
 */
export async function run(command, args, { cwd, env }) {
  const options = { cwd, env: cleanEnvironment(env), maxBuffer: 2 ** 26 }
  try {
    return await promisify(execFile)(command, args, options)
  } catch (error) {
    const { stdout, stderr } = /** @type {{ stdout: string, stderr: string }} */ (error)
    throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}${stderr}`, { cause: error })
  }
}

/**
 * Starts a server. Resolves when its output matches `ready`.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd: string, env?: Record<string, string | undefined>, ready: RegExp, echo?: boolean }} options
 */
export async function serve(command, args, { cwd, env, ready, echo = false }) {
  // Its own process group: a signal to the server alone might leave its child processes behind.
  const child = spawn(command, args, { cwd, env: cleanEnvironment(env), stdio: 'pipe', detached: true })
  const exited = once(child, 'exit')
  const abandon = () => signal('SIGKILL')
  process.on('exit', abandon)
  let output = ''

  /** @param {NodeJS.Signals} name */
  function signal(name) {
    try {
      if (child.pid) process.kill(-child.pid, name)
    } catch {
      // It has ended already.
    }
  }

  async function stop() {
    signal('SIGTERM')
    const timeout = setTimeout(abandon, 10_000)
    await exited
    clearTimeout(timeout)
    abandon()
    process.off('exit', abandon)
  }

  await new Promise((resolve, reject) => {
    /** @param {Buffer} chunk */
    function read(chunk) {
      output += chunk
      if (echo) process.stderr.write(chunk)
      if (ready.test(output)) resolve(undefined)
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    exited.then(() => reject(new Error(`${command} ${args.join(' ')} ended:\n${output}`)), reject)
  })
  return { pid: child.pid, output: () => output, exited, stop }
}

/** @param {string} app @param {string[]} args */
export function next(app, args) {
  return /** @type {[command: string, args: string[]]} */ ([
    process.execPath,
    // In a workspace it may be in a folder above.
    [createRequire(join(app, 'package.json')).resolve('next/dist/bin/next'), ...args],
  ])
}
