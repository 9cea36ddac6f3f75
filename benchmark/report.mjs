// Prints results as tables, and describes the contestants and the machine.

import { readFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import pg from 'pg'

/** @typedef {import('./measure.mjs').Result} Result */
/** @typedef {import('./contestants/index.mjs').Contestant} Contestant */

/** @type {Record<string, string>} */
const COLUMNS = {
  callsPerSecond: 'calls per second',
  p50: 'p50 µs',
  p95: 'p95 µs',
  p99: 'p99 µs',
  mean: 'mean µs',
  cpu: 'CPU µs per call',
  eventLoop: 'event loop µs per call',
}

export const ALL_COLUMNS = Object.keys(COLUMNS)
export const NETWORK_COLUMNS = ['callsPerSecond', 'p50', 'p99']

/**
 * One table for each number of calls in flight.
 *
 * @param {Result[]} results
 * @param {(key: string) => string} nameOf
 * @param {string[]} metrics
 */
export function printTables(results, nameOf, metrics) {
  for (const inFlight of new Set(results.map((result) => result.inFlight))) {
    const rows = results.filter((result) => result.inFlight === inFlight)
    const shown = metrics.filter((metric) => rows.some((row) => row.metrics[metric]))
    const head = [`${inFlight} in flight`, ...shown.map((metric) => COLUMNS[metric] ?? metric)]
    const body = rows.map(({ key, metrics }) => [nameOf(key), ...shown.map((metric) => cell(metrics[metric]))])
    console.log(`\n${table(head, body)}`)
  }
}

/** @param {import('./measure.mjs').Spread | undefined} spread */
function cell(spread) {
  if (!spread) return ''
  const [median, min, max] = [spread.median, spread.min, spread.max].map((value) => value.toFixed(value < 10 ? 1 : 0))
  return `${median} (${min} - ${max})`
}

/** A Markdown table. @param {string[]} head @param {string[][]} body */
export function table(head, body) {
  const widths = head.map((_title, column) => Math.max(...[head, ...body].map((row) => row[column]?.length ?? 0)))
  const line = (/** @type {string[]} */ row) => {
    return `| ${row.map((text, column) => (column ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[0] ?? 0))).join(' | ')} |`
  }
  const rule = `| ${widths.map((width, column) => (column ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width))).join(' | ')} |`
  return [line(head), rule, ...body.map(line)].join('\n')
}

/** @param {Map<string, Contestant>} contestants */
export function printLegend(contestants) {
  console.log('\nContestants:')
  for (const [letter, { name, pool, differs }] of contestants) {
    console.log(`  (${letter}) ${name}\n      database: ${pool}\n      ${differs}`)
  }
}

/** The contestants, for the result files. @param {Map<string, Contestant>} contestants */
export function describeContestants(contestants) {
  return Object.fromEntries(
    [...contestants].map(([letter, { name, pool, differs }]) => [letter, { name, pool, differs }]),
  )
}

/** @param {string} url @param {Map<string, Contestant>} contestants */
export async function describeEnvironment(url, contestants) {
  const packages = new Set([...contestants.values()].flatMap((contestant) => contestant.packages))
  const versions = { node: process.versions.node, postgresql: await serverVersion(url) }
  for (const name of packages) Object.assign(versions, { [name]: await packageVersion(name) })
  return { versions, machine: describeMachine() }
}

export function describeMachine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
  }
}

/** @param {string} url @returns {Promise<string>} */
async function serverVersion(url) {
  const client = new pg.Client(url)
  await client.connect()
  const { rows } = await client.query('SHOW server_version')
  await client.end()
  return rows[0].server_version
}

/** @param {string} name @returns {Promise<string>} */
async function packageVersion(name) {
  const path = name === 'authjs-bridge' ? '../package.json' : `../node_modules/${name}/package.json`
  return JSON.parse(await readFile(new URL(path, import.meta.url), 'utf8')).version
}
