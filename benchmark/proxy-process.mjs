// The child process of proxy.mjs. It ends when its parent disconnects.

import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { DelayLine } from './delay-line.mjs'
import { QueryFinder } from './query-finder.mjs'

/** @typedef {{ port: number, network: import('./proxy.mjs').Network }} Settings */

const [{ port, network }] = /** @type {[Settings]} */ (await once(process, 'message'))
let queries = 0

const proxy = createServer({ noDelay: true }, (client) => {
  const server = connect({ port, host: '127.0.0.1', noDelay: true })
  const toServer = new DelayLine((bytes) => server.write(bytes))
  // Adds the latency of the whole round trip on its second half, so that the error of a timer counts once.
  const toClient = new DelayLine((bytes) => client.write(bytes))
  const finder = new QueryFinder()

  client.on('data', (bytes) => {
    let start = 0
    let delay = 0
    for (const query of network.slowEvery > 0 ? finder.find(bytes) : []) {
      queries += 1
      if (queries % network.slowEvery !== 0) continue
      toServer.push(bytes.subarray(start, query), delay)
      start = query
      delay = network.slowMs
    }
    toServer.push(bytes.subarray(start), delay)
  })
  server.on('data', (bytes) => toClient.push(bytes, network.latencyMs))

  for (const [one, other] of [
    [client, server],
    [server, client],
  ]) {
    one?.on('error', () => {})
    one?.on('close', () => {
      other?.destroy()
      toServer.close()
      toClient.close()
    })
  }
})

proxy.listen(0, '127.0.0.1')
await once(proxy, 'listening')
process.send?.(/** @type {import('node:net').AddressInfo} */ (proxy.address()).port)
process.once('disconnect', () => process.exit())
