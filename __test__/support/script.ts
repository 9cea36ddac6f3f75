import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** The exit code or signal of a process, and its output on stdout and stderr. */
export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  output: string
  errors: string
}

/** Runs a script in a new process, with the environment variables `env` only. */
export function runScript(script: string, env: Record<string, string> = {}, cwd?: string) {
  return runNode(['-e', script], { env, cwd })
}

interface Options {
  env?: Record<string, string>
  cwd?: string
  timeout?: number
}

/** Runs Node.js with any arguments. `timeout` in ms. */
export async function runNode(args: string[], { env, cwd, timeout = 15_000 }: Options = {}): Promise<Ended> {
  const node = spawn(process.execPath, args, { cwd, env: { ...sanitizer(), ...env }, timeout })
  let output = ''
  let errors = ''
  node.stdout.on('data', (chunk) => (output += chunk))
  node.stderr.on('data', (chunk) => (errors += chunk))
  const [code, signal] = await once(node, 'close')
  return { code, signal, output: output.trimEnd(), errors }
}

/** The environment variables that run the new process with AddressSanitizer if this one does: see `scripts/sanitizer.mjs`. */
export function sanitizer(): Record<string, string> {
  const { SANITIZER_RUNTIME, NAPI_RS_NATIVE_LIBRARY_PATH, ASAN_OPTIONS } = process.env
  if (!SANITIZER_RUNTIME || !NAPI_RS_NATIVE_LIBRARY_PATH) return {}
  return { LD_PRELOAD: SANITIZER_RUNTIME, NAPI_RS_NATIVE_LIBRARY_PATH, ASAN_OPTIONS: `${ASAN_OPTIONS}:detect_leaks=0` }
}
