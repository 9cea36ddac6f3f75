import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

/**
 * Writes the reply to a query. It must end with `readyForQuery`, unless the query must not end. `types` has the types of the
 * client's messages, a letter each.
 */
export type Reply = (socket: Socket, types: string) => unknown

/** A fake PostgreSQL server that sends any reply. It accepts every login. */
export async function startHostileServer() {
  const sockets = new Set<Socket>()
  let reply: Reply = () => {}
  let login: ((socket: Socket) => void) | undefined
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    if (login) return login(socket)
    let isGreeted = false
    socket.on('data', (bytes) => {
      if (isGreeted) return endsWithSync(bytes) && reply(socket, messageTypes(bytes))
      isGreeted = true
      socket.write(Buffer.concat([authenticationOk, readyForQuery]))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    /** Without prepared statements, and with the schema of the tables, so that each query is one request and one reply. */
    url: `postgres://u:hunter2@127.0.0.1:${port}/d?sslmode=disable&pgbouncer=true&schema=public`,
    /** Sets the reply to the following queries. */
    answer(next: Reply) {
      reply = next
    },
    /** Handles new connections itself, instead of accepting the login. */
    onConnect(next: (socket: Socket) => void) {
      login = next
    },
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

/** A client's request is complete when it ends with the message `Sync`. */
function endsWithSync(bytes: Buffer) {
  return bytes.subarray(-5).equals(message('S'))
}

function messageTypes(bytes: Buffer) {
  let found = ''
  for (let at = 0; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1)) found += String.fromCharCode(bytes[at] ?? 0)
  return found
}

/** A message of the protocol: its type, its length, its content. */
export function message(type: string, ...content: (Buffer | string)[]) {
  const body = Buffer.concat(content.map((part) => Buffer.from(part as string)))
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body])
}

export function int32(value: number) {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function int16(value: number) {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

export const authenticationOk = message('R', int32(0))
export const readyForQuery = message('Z', 'I')
const [parseComplete, bindComplete] = [message('1'), message('2')]
export const accepted = Buffer.concat([parseComplete, bindComplete])
export const commandComplete = message('C', 'SELECT\0')

/** OIDs of PostgreSQL's types. */
export const TYPES = { bool: 16, char: 18, name: 19, int4: 23, text: 25, oid: 26, uuid: 2950, unknown: 100_000 }

export function rowDescription(types: number[]) {
  const fields = types.map((type) =>
    Buffer.concat([Buffer.from('column\0'), int32(0), int16(0), int32(type), int16(-1), int32(-1), int16(1)]),
  )
  return message('T', int16(types.length), ...fields)
}

export function dataRow(values: (Buffer | null)[]) {
  const fields = values.map((value) => (value ? Buffer.concat([int32(value.length), value]) : int32(-1)))
  return message('D', int16(values.length), ...fields)
}

export function errorResponse(fields: Record<string, string>) {
  const parts = Object.entries(fields).map(([letter, text]) => `${letter}${text}\0`)
  return message('E', ...parts, '\0')
}

export function notice(text: string) {
  return message('N', `SNOTICE\0C00000\0M${text}\0\0`)
}

/** Replies to queries for a type: it is based on the type `baseType()`, for which the client has to query again. */
export function endlessTypes(baseType: () => number, typeName = 't'): Reply {
  const { char, name, oid } = TYPES
  const columns = rowDescription([name, char, oid, oid, oid, name, oid])
  const parameters = message('t', int16(1), int32(oid))
  return (socket, types) => {
    const type = (oid: number) => [
      Buffer.from(typeName),
      Buffer.from('d'),
      int32(0),
      null,
      int32(oid),
      Buffer.from('s'),
      int32(0),
    ]
    const parts = types.startsWith('P')
      ? [parseComplete, parameters, columns]
      : [bindComplete, dataRow(type(baseType())), commandComplete]
    socket.write(Buffer.concat([...parts, readyForQuery]))
  }
}

/** Replies to a prepared statement: describes its parameters and columns, then sends `messages` each time it runs. */
export function prepared(columns: number[], ...messages: Buffer[]): Reply {
  const parameters = message('t', int16(2), int32(TYPES.uuid), int32(TYPES.uuid))
  return (socket, types) => {
    const parts = types.includes('B')
      ? [bindComplete, ...messages]
      : [parseComplete, parameters, rowDescription(columns)]
    socket.write(Buffer.concat([...parts, readyForQuery]))
  }
}
