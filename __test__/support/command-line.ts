import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { Check } from '../../cli/native.js'

const EXECUTABLE = fileURLToPath(new URL('../../cli/index.js', import.meta.url))

/** What must never be shown. The tests put it into secrets, passwords and rows. */
export const MARKERS = {
  secret: 'the-secret-marker-of-32-bytes-and-more',
  password: 'hunter2',
  email: 'ada@example.com',
}

export interface Surroundings {
  env?: Record<string, string>
  cwd?: string
  input?: string
}

/** The server's own password, as it is and as in a URL. */
const SERVER_PASSWORD = ['p@ss?word', 'p%40ss%3Fword']
/** Of a token, between its dots. */
const PART_OF_TOKEN = /[\w-]{40,}/g

/** Runs `authjs-bridge` with no other variables than these. Whatever it prints, it is nothing that it must not show. */
export async function run(args: string[], { env = {}, cwd = '/', input = '' }: Surroundings = {}) {
  const child = spawn(process.execPath, [EXECUTABLE, ...args], { cwd, env: { PATH: process.env.PATH, ...env } })
  // A command that reads nothing may be gone before.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  for (const hidden of [...Object.values(MARKERS), ...SERVER_PASSWORD, ...(input.match(PART_OF_TOKEN) ?? [])]) {
    expect(`${stdout}${stderr}`).not.toContain(hidden)
  }
  return { code, stdout, stderr }
}

/** The same under a terminal of its own, on Linux; `answer` is typed when the prompt is there. */
export async function runOnTerminal(args: string[], { env = {}, cwd = '/' }: Surroundings, answer = '') {
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

/** What `doctor` finds, as JSON. */
export async function diagnose(surroundings: Surroundings, ...args: string[]) {
  const { code, stdout, stderr } = await run(['doctor', '--json', ...args], surroundings)
  const report: { ok: boolean; mode: string; checks: Check[] } = JSON.parse(stdout)
  expect(stderr).toBe('')
  expect(report.ok).toBe(code === 0)
  const check = (id: string) => report.checks.find((check) => check.id === id)
  const withStatus = (status: Check['status']) =>
    report.checks.flatMap((check) => (check.status === status ? [check.id] : []))
  return { code, ...report, check, withStatus }
}
