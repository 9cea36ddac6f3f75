import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

/** Writes what a query is answered with, up to and with `readyForQuery` if it is to end. `asked` has the letters of its messages. */
export type Reply = (socket: Socket, asked: string) => unknown

/** A server that speaks just so much of PostgreSQL's protocol that it can lie. It lets everybody in. */
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
      if (isGreeted) return isAsked(bytes) && reply(socket, letters(bytes))
      isGreeted = true
      socket.write(Buffer.concat([authenticationOk, readyForQuery]))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    /** Where nothing is prepared, so that a query is one question and one answer, and no table has to be found first. */
    url: `postgres://u:hunter2@127.0.0.1:${port}/d?sslmode=disable&pgbouncer=true&schema=public`,
    answer(next: Reply) {
      reply = next
    },
    /** Takes a connection from its start on, instead of letting it in. */
    onConnect(next: (socket: Socket) => void) {
      login = next
    },
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

/** A client's questions end with `Sync`. */
function isAsked(bytes: Buffer) {
  return bytes.subarray(-5).equals(message('S'))
}

function letters(bytes: Buffer) {
  let found = ''
  for (let at = 0; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1)) found += String.fromCharCode(bytes[at] ?? 0)
  return found
}

/** A message of the protocol: its letter, its length, its content. */
export function message(letter: string, ...content: (Buffer | string)[]) {
  const body = Buffer.concat(content.map((part) => Buffer.from(part as string)))
  return Buffer.concat([Buffer.from(letter), int32(body.length + 4), body])
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

/** To whoever asks what the type of a column is: one that stands on another, which nobody knows either, and so on. */
export function endlessTypes(standsOn: () => number, typeName = 't'): Reply {
  const { char, name, oid } = TYPES
  const columns = rowDescription([name, char, oid, oid, oid, name, oid])
  const parameters = message('t', int16(1), int32(oid))
  return (socket, asked) => {
    const type = (oid: number) => [
      Buffer.from(typeName),
      Buffer.from('d'),
      int32(0),
      null,
      int32(oid),
      Buffer.from('s'),
      int32(0),
    ]
    const parts = asked.startsWith('P')
      ? [parseComplete, parameters, columns]
      : [bindComplete, dataRow(type(standsOn())), commandComplete]
    socket.write(Buffer.concat([...parts, readyForQuery]))
  }
}

/** Of a statement that is prepared first: its parameters and columns, then, as often as it is run, `messages`. */
export function prepared(columns: number[], ...messages: Buffer[]): Reply {
  const parameters = message('t', int16(2), int32(TYPES.uuid), int32(TYPES.uuid))
  return (socket, asked) => {
    const parts = asked.includes('B')
      ? [bindComplete, ...messages]
      : [parseComplete, parameters, rowDescription(columns)]
    socket.write(Buffer.concat([...parts, readyForQuery]))
  }
}
