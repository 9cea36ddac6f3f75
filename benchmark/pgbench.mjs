// The limit of the database: pgbench, which is written in C, runs the same query and discards the results.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { findSeeded } from './query.mjs'

const run = promisify(execFile)

/** The version of the pgbench in PATH; undefined if there is none. */
export async function pgbenchVersion() {
  try {
    const { stdout } = await run('pgbench', ['--version'])
    return /[\d.]+/.exec(stdout)?.[0]
  } catch {
    return undefined
  }
}

/**
 * Looks up sessions that have cookies, at random.
 *
 * @param {string} url
 * @param {{ clients: number, seconds: number, size: import('./seed.mjs').Size }} options
 * @returns {Promise<import('./measure.mjs').Sample>}
 */
export async function runPgbench(url, { clients, seconds, size }) {
  const script = `
    \\set session random(0, ${size.cookies - 1}) * ${size.sessions / size.cookies}
    \\set tenant :session % ${size.tenants}
    ${findSeeded(':tenant', ':session').replaceAll('\n', ' ')};
  `
  const duration = Math.max(1, Math.ceil(seconds))
  const flags = ['--no-vacuum', '--protocol=prepared', `--client=${clients}`, `--time=${duration}`, '--file=-']
  const running = run('pgbench', [...flags, url])
  running.child.stdin?.end(script)
  const { stdout } = await running
  return {
    callsPerSecond: numberAfter(stdout, /^tps = ([\d.]+)/m),
    mean: 1000 * numberAfter(stdout, /^latency average = ([\d.]+) ms/m),
  }
}

/** @param {string} text @param {RegExp} pattern */
function numberAfter(text, pattern) {
  const [, number] = pattern.exec(text) ?? []
  if (number === undefined) throw new Error(`pgbench printed no ${pattern}:\n${text}`)
  return Number(number)
}
