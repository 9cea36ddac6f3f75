// The benchmarks that are written in Rust.

import { execFileSync } from 'node:child_process'

/** Builds one. @param {string} name @returns {string} the path of the program */
export function buildBenchmark(name) {
  const command = ['bench', '--bench', name, '--no-run', '--locked', '--message-format=json']
  const output = execFileSync('cargo', command, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  const messages = output.split('\n').filter((line) => line.startsWith('{'))
  const built = messages
    .map((line) => JSON.parse(line))
    .find(({ target, executable }) => executable && target.name === name)
  return built.executable
}
