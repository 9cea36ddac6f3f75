import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { Check } from '../../cli/native.js'

const EXECUTABLE = fileURLToPath(new URL('../../cli/index.js', import.meta.url))

/** Values that must never be printed. Tests put them into secrets, passwords and rows. */
export const MARKERS = {
  secret: 'the-secret-marker-of-32-bytes-and-more',
  password: 'hunter2',
  email: 'ada@example.com',
}

export interface RunOptions {
  env?: Record<string, string>
  cwd?: string
  input?: string
}

/** The password of the test server, plain and percent-encoded. */
const SERVER_PASSWORD = ['p@ss?word', 'p%40ss%3Fword']
/** A long part of a token. */
const PART_OF_TOKEN = /[\w-]{40,}/g

/** Runs `authjs-bridge` with these environment variables only, and asserts that its output contains nothing secret. */
export async function run(args: string[], { env = {}, cwd = '/', input = '' }: RunOptions = {}) {
  const child = spawn(process.execPath, [EXECUTABLE, ...args], { cwd, env: { PATH: process.env.PATH, ...env } })
  // A command that doesn't read its input may have ended already.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  for (const hidden of [...Object.values(MARKERS), ...SERVER_PASSWORD, ...(input.match(PART_OF_TOKEN) ?? [])]) {
    expect(`${stdout}${stderr}`).not.toContain(hidden)
  }
  return { code, stdout, stderr }
}

/** Runs `authjs-bridge` on a pseudo-terminal: see HAS_TERMINAL. Types `answer` when the prompt appears. */
export async function runOnTerminal(args: string[], { env = {}, cwd = '/' }: RunOptions, answer = '') {
  const command = [process.execPath, EXECUTABLE, ...args].map((part) => `'${part}'`).join(' ')
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    cwd,
    env: { PATH: process.env.PATH, TERM: 'xterm', ...env },
  })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
    if (answer && output.includes(': ')) {
      child.stdin.write(answer)
      answer = ''
    }
  })
  const [code] = await once(child, 'close')
  return { code, output: output.replaceAll('\r\n', '\n') }
}

/** Runs `doctor --json` and parses its report. */
export async function diagnose(options: RunOptions, ...args: string[]) {
  const { code, stdout, stderr } = await run(['doctor', '--json', ...args], options)
  const report: { ok: boolean; mode: string; checks: Check[] } = JSON.parse(stdout)
  expect(stderr).toBe('')
  expect(report.ok).toBe(code === 0)
  const check = (id: string) => report.checks.find((check) => check.id === id)
  const withStatus = (status: Check['status']) =>
    report.checks.flatMap((check) => (check.status === status ? [check.id] : []))
  return { code, ...report, check, withStatus }
}
