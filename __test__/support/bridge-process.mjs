// A process of its own with an `AuthBridge`, which makes the calls that its parent sends. See `processes.ts`.

import { AuthBridge } from '../../index.js'

const bridge = new AuthBridge(JSON.parse(process.env.BRIDGE_OPTIONS ?? '{}'))

process.on('message', async (/** @type {{ id: number, method: keyof AuthBridge, args: unknown[] }} */ message) => {
  const { id, method, args } = message
  // @ts-expect-error any of its methods
  const settled = bridge[method](...args).then(
    (/** @type {unknown} */ value) => ({ value }),
    (/** @type {{ code: string, message: string }} */ { code, message }) => ({ error: { code, message } }),
  )
  process.send?.({ id, ...(await settled) })
})
process.on('disconnect', () => bridge.close())
process.send?.({ id: 0 })
