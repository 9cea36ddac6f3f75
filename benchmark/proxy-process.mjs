// The process that proxy.mjs starts. It ends when its parent lets go of it.

import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { DelayLine } from './delay-line.mjs'
import { QueryFinder } from './query-finder.mjs'

/** @typedef {{ port: number, distance: import('./proxy.mjs').Distance }} Order */

const [{ port, distance }] = /** @type {[Order]} */ (await once(process, 'message'))
let queries = 0

const proxy = createServer({ noDelay: true }, (client) => {
  const server = connect({ port, host: '127.0.0.1', noDelay: true })
  const toServer = new DelayLine((bytes) => server.write(bytes))
  // The whole round trip is added to its second half: with two halves, timers would be wrong twice.
  const toClient = new DelayLine((bytes) => client.write(bytes))
  const finder = new QueryFinder()

  client.on('data', (bytes) => {
    let start = 0
    let delay = 0
    for (const query of distance.slowEvery > 0 ? finder.find(bytes) : []) {
      queries += 1
      if (queries % distance.slowEvery !== 0) continue
      toServer.push(bytes.subarray(start, query), delay)
      start = query
      delay = distance.slowMs
    }
    toServer.push(bytes.subarray(start), delay)
  })
  server.on('data', (bytes) => toClient.push(bytes, distance.latencyMs))

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
