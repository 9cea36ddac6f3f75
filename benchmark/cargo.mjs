// Builds the benchmarks that are written in Rust.

import { cargoMessages } from '../scripts/cargo-build.mjs'

/** @returns {string} the path of the program; its first argument is the name of the benchmark */
export function buildBenchmarks() {
  const command = ['build', '--package=authjs-bridge-benchmark', '--release', '--locked']
  return cargoMessages(command, process.env).find(({ executable }) => executable).executable
}
