import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** How a process ended, and what it printed. */
export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  output: string
  errors: string
}

/** Runs a script in a new process that has no environment but `env`, from `cwd`. */
export function runScript(script: string, env: Record<string, string> = {}, cwd?: string) {
  return runNode(['-e', script], { env, cwd })
}

interface Options {
  env?: Record<string, string>
  cwd?: string
  timeout?: number
}

/** The same for any arguments of Node.js. */
export async function runNode(args: string[], { env, cwd, timeout = 15_000 }: Options = {}): Promise<Ended> {
  const node = spawn(process.execPath, args, { cwd, env: { ...sanitizer(), ...env }, timeout })
  let output = ''
  let errors = ''
  node.stdout.on('data', (chunk) => (output += chunk))
  node.stderr.on('data', (chunk) => (errors += chunk))
  const [code, signal] = await once(node, 'close')
  return { code, signal, output: output.trimEnd(), errors }
}

/** What lets AddressSanitizer watch that process, too, where it watches this one: see `scripts/sanitizer.mjs`. */
function sanitizer(): Record<string, string> {
  const { SANITIZER_RUNTIME, NAPI_RS_NATIVE_LIBRARY_PATH, ASAN_OPTIONS } = process.env
  if (!SANITIZER_RUNTIME || !NAPI_RS_NATIVE_LIBRARY_PATH) return {}
  return { LD_PRELOAD: SANITIZER_RUNTIME, NAPI_RS_NATIVE_LIBRARY_PATH, ASAN_OPTIONS: `${ASAN_OPTIONS}:detect_leaks=0` }
}
