// Builds the benchmarks that are written in Rust.

import { execFileSync } from 'node:child_process'

/** @param {string[]} names @returns {string[]} the paths of the programs, in the same order */
export function buildBenchmarks(...names) {
  const targets = names.map((name) => `--bench=${name}`)
  // With the profile of the tests, so that the crates are compiled once.
  const command = ['build', '--release', ...targets, '--locked', '--message-format=json']
  const output = execFileSync('cargo', command, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = output.split('\n').filter((line) => line.startsWith('{'))
  const built = lines.map((line) => JSON.parse(line)).filter(({ executable }) => executable)
  return names.map((name) => built.find(({ target }) => target.name === name).executable)
}
