import { parentPort, workerData } from 'node:worker_threads'
import { AuthBridge } from 'authjs-bridge'

const { options, cookie } = workerData
const session = await new AuthBridge(options).getSession(cookie)
parentPort?.postMessage(session.session_id)
