import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/**
 * What happens to a reply of the server. `cut`: the client gets half of it, then the connection ends. `swallow`: the client
 * gets half of it, then nothing. `delayMs`: the client gets it later.
 */
export type Disturbance = 'cut' | 'swallow' | { delayMs: number }

/** Starts a TCP proxy in front of a PostgreSQL server that simulates faults of the network. */
export async function startProxy(serverPort: number, port = 0) {
  let target = serverPort
  const links = new Set<{
    client: Socket
    server: Socket
    swallows: boolean
    disturbance?: Disturbance
    spared: number
  }>()
  let forNewLinks: Disturbance | undefined
  let disturbed = 0
  const proxy = createServer((client) => {
    const link = { client, server: connect(target, '127.0.0.1'), swallows: false, disturbance: forNewLinks, spared: 0 }
    links.add(link)
    client.on('data', (bytes) => link.swallows || link.server.write(bytes))
    link.server.on('data', (bytes) => {
      if (link.swallows) return
      if (link.disturbance === undefined || link.spared-- > 0) return client.write(bytes)
      disturbed++
      if (typeof link.disturbance === 'object') return setTimeout(() => client.write(bytes), link.disturbance.delayMs)
      link.swallows = true
      client.write(bytes.subarray(0, bytes.length / 2))
      if (link.disturbance === 'cut') client.end()
    })
    for (const [one, other] of [
      [client, link.server],
      [link.server, client],
    ] as const) {
      one.on('error', () => {})
      one.on('close', () => {
        other.destroy()
        links.delete(link)
      })
    }
  })
  proxy.listen(port, '127.0.0.1')
  await once(proxy, 'listening')
  return {
    port: (proxy.address() as AddressInfo).port,
    /** The number of open connections. */
    connections: () => links.size,
    /** Current connections stay open but transfer nothing from now on. New ones work. */
    swallow() {
      for (const link of links) link.swallows = true
    },
    /** How many replies were disturbed. */
    disturbed: () => disturbed,
    /** Disturbs the next replies on each current connection, after the first `spared`; with `always` on new ones, too. */
    disturb(disturbance: Disturbance | undefined, { always = false, spared = 0 } = {}) {
      for (const link of links) Object.assign(link, { disturbance, spared })
      forNewLinks = always ? disturbance : undefined
    },
    /** Disturbs new connections only. */
    disturbNew(disturbance: Disturbance | undefined) {
      forNewLinks = disturbance
    },
    /** Runs a statement on each connection, unnoticed by its client. The connections must be idle. */
    async inject(statement: string) {
      await Promise.all(
        [...links].map(async (link) => {
          link.swallows = true
          link.server.write(simpleQuery(statement))
          for (let answer = Buffer.alloc(0); !answer.subarray(-6).equals(READY_FOR_QUERY); ) {
            const [bytes] = await once(link.server, 'data')
            answer = Buffer.concat([answer, bytes])
          }
          link.swallows = false
        }),
      )
    },
    /** From now on new connections lead to another server. */
    redirect(port: number) {
      target = port
    },
    close() {
      for (const { client } of links) client.destroy()
      proxy.close()
    },
  }
}

/** Message `Q` of the PostgreSQL protocol. */
function simpleQuery(statement: string) {
  const text = Buffer.from(`${statement}\0`)
  const length = Buffer.alloc(4)
  length.writeInt32BE(text.length + 4)
  return Buffer.concat([Buffer.from('Q'), length, text])
}

/** Message `Z`, idle. */
const READY_FOR_QUERY = Buffer.from('5a0000000549', 'hex')
