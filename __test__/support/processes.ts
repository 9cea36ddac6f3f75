import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { AuthBridge, AuthBridgeOptions, BridgeStats } from '../../index.js'
import { sanitizer } from './script.js'

type Method = {
  [Name in keyof AuthBridge]: AuthBridge[Name] extends (...args: never[]) => Promise<unknown> ? Name : never
}[keyof AuthBridge]
interface Answer {
  id: number
  value?: unknown
  error?: { code: string; message: string }
}

interface Reading extends Pick<BridgeStats, 'cache' | 'listener'> {
  lastLive: number[]
  failures: number
}

/** Starts a process with an `AuthBridge` of its own. */
export async function startProcess(options: AuthBridgeOptions) {
  const child = fork(fileURLToPath(new URL('bridge-process.mjs', import.meta.url)), {
    env: { ...sanitizer(), BRIDGE_OPTIONS: JSON.stringify(options) },
    execArgv: [],
    // Keeps dates as they are.
    serialization: 'advanced',
  })
  const waiting = new Map<number, (answer: Answer) => void>()
  let calls = 0
  child.on('message', (answer: Answer) => {
    waiting.get(answer.id)?.(answer)
    waiting.delete(answer.id)
  })
  await once(child, 'message')

  async function send(method: string, args: unknown[]) {
    const id = ++calls
    const answered = new Promise<Answer>((resolve) => waiting.set(id, resolve))
    child.send({ id, method, args })
    const { value, error } = await answered
    if (error) throw Object.assign(new Error(error.message), { code: error.code })
    return value
  }

  return {
    /** For signals. */
    pid: child.pid as number,
    /** Calls a method of the bridge. Rejects with its code and message. */
    async call<M extends Method>(
      method: M,
      ...args: Parameters<AuthBridge[M]>
    ): Promise<Awaited<ReturnType<AuthBridge[M]>>> {
      return (await send(method, args)) as Awaited<ReturnType<AuthBridge[M]>>
    },
    /**
     * Reads sessions in random order: when the last call began that got each, in ms of the machine's monotonic clock. Calls that reject
     * don't count as read.
     */
    async readMany(cookies: string[], count: number) {
      return (await send('readMany', [cookies, count])) as Reading
    },
    /** Makes `readMany` end. */
    finish: () => send('finish', []),
    async stop() {
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
}
