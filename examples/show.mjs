// Prints the steps of the demo: what happens, the code of each call, its time and its result.

import { strictEqual } from 'node:assert'
import { performance } from 'node:perf_hooks'
import { inspect, styleText } from 'node:util'

const INDENT = '   '
let steps = 0

/** @param {string} title @param {string} text */
export function heading(title, text) {
  steps += 1
  console.log(`\n${styleText('bold', `${steps}. ${title}`)}\n${text.replaceAll(/(.{1,74})(?: |$)/g, `${INDENT}$1\n`)}`)
}

/**
 * Prints the code of a call, calls it, and prints how long it took and the result, or a part of it.
 *
 * @template T
 * @param {() => Promise<T>} call
 * @param {(result: T) => unknown} [part]
 */
export async function show(call, part = (result) => result) {
  printCode(call)
  const start = performance.now()
  const result = await call()
  printResult(start, part(result))
  return result
}

/** Shows a call that rejects. @param {string} code @param {() => Promise<unknown>} call */
export async function showError(code, call) {
  printCode(call)
  const start = performance.now()
  const error = await call().then(
    () => ({}),
    (error) => error,
  )
  printResult(start, { code: error.code, message: error.message })
  strictEqual(error.code, code)
}

/**
 * Prints one line in place of the code: a text, whether the result is a session, and the time.
 *
 * @template {object} T
 * @param {string} text
 * @param {() => Promise<T>} call
 */
export async function showRow(text, call) {
  const start = performance.now()
  const result = await call()
  const answer = 'user' in result ? 'session' : '{}'
  console.log(`${INDENT}${text}${answer.padEnd(10)}${styleText('dim', `// ${since(start)}`)}`)
  return result
}

/** @param {() => Promise<unknown>} call */
function printCode(call) {
  const code = String(call)
    .replace(/^\(\) =>\s*/, 'await ')
    .replace(/^async \(\) =>\s*/, '')
  process.stdout.write(INDENT + styleText('cyan', code))
}

/** @param {number} start @param {unknown} result */
function printResult(start, result) {
  console.log(styleText('dim', `  // ${since(start)}`))
  const text = inspect(result, { colors: process.stdout.hasColors?.(), maxStringLength: 50 })
  if (result !== undefined) console.log(text.replaceAll(/^/gm, INDENT))
}

/** @param {number} start */
function since(start) {
  return `${(performance.now() - start).toFixed(2)} ms`
}
