import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { AuthBridge, AuthBridgeOptions } from '../../index.js'
import { sanitizer } from './script.js'

type Method = {
  [Name in keyof AuthBridge]: AuthBridge[Name] extends (...args: never[]) => Promise<unknown> ? Name : never
}[keyof AuthBridge]
interface Answer {
  id: number
  value?: unknown
  error?: { code: string; message: string }
}

/** Starts a process with an `AuthBridge` of its own. */
export async function startProcess(options: AuthBridgeOptions) {
  const child = fork(fileURLToPath(new URL('manage-process.mjs', import.meta.url)), {
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
  return {
    /** Calls a method of the bridge. Rejects with its code and message. */
    async call<M extends Method>(
      method: M,
      ...args: Parameters<AuthBridge[M]>
    ): Promise<Awaited<ReturnType<AuthBridge[M]>>> {
      const id = ++calls
      const answered = new Promise<Answer>((resolve) => waiting.set(id, resolve))
      child.send({ id, method, args })
      const { value, error } = await answered
      if (error) throw Object.assign(new Error(error.message), { code: error.code })
      return value as Awaited<ReturnType<AuthBridge[M]>>
    },
    async stop() {
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
}
