import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

/**
 * Writes the reply to a query. It must end with `readyForQuery`, unless the query must not end. `types` has the types of the
 * client's messages, a letter each.
 */
export type Reply = (socket: Socket, types: string) => unknown

/** A fake PostgreSQL server that sends any reply. It accepts every login, and says that the tables are those of schema.sql. */
export async function startHostileServer() {
  const sockets = new Set<Socket>()
  let reply: Reply = () => {}
  let replyAboutTables: Reply = rows(TABLE_COLUMNS, ...Array.from({ length: LOCATED_COLUMNS }, () => locatedRow()))
  let login: ((socket: Socket) => void) | undefined
  const queries: string[] = []
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    if (login) return login(socket)
    let isGreeted = false
    socket.on('data', (bytes) => {
      if (isGreeted) {
        if (!endsWithSync(bytes)) return
        const isAboutTables = bytes.includes('WITH RECURSIVE wanted')
        queries.push(bytes.toString('latin1'))
        return (isAboutTables ? replyAboutTables : reply)(socket, messageTypes(bytes))
      }
      isGreeted = true
      socket.write(Buffer.concat([authenticationOk, readyForQuery]))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    /** Without prepared statements, so that each query is one request and one reply. */
    url: `postgres://u:hunter2@127.0.0.1:${port}/d?sslmode=disable&pgbouncer=true`,
    /** Sets the reply to the following queries, except that for the tables. */
    answer(next: Reply) {
      reply = next
    },
    /** Sets the reply to the query for the tables. */
    answerAboutTables(next: Reply) {
      replyAboutTables = next
    },
    /** What was sent after the login: queries, with the messages around them. */
    queries,
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

export function float8(value: number) {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(value)
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
export const TYPES = {
  bool: 16,
  char: 18,
  name: 19,
  int4: 23,
  text: 25,
  oid: 26,
  float8: 701,
  textArray: 1009,
  uuid: 2950,
  unknown: 100_000,
}

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

/** A reply to a query that is not prepared. */
export function reply(...messages: Buffer[]): Reply {
  return (socket) => socket.write(Buffer.concat([accepted, ...messages, readyForQuery]))
}

export function rows(columns: number[], ...rows: (Buffer | null)[][]) {
  return reply(rowDescription(columns), ...rows.map(dataRow), commandComplete)
}

const { text, bool } = TYPES
/** The columns of the query for the tables. */
export const TABLE_COLUMNS = [text, text, text, TYPES.int4, text, text, bool, text, text, bool, bool]
/** How many columns of the tables it is about. */
export const LOCATED_COLUMNS = 16

/** A row of the query for the tables: that a column is a `uuid`, with changes. */
export function locatedRow(changes: Record<string, string | boolean | Buffer | null> = {}) {
  const column = {
    searchPath: 'public',
    schema: 'public',
    encoding: 'UTF8',
    modifier: null,
    typeSchema: 'pg_catalog',
    typeName: 'uuid',
    isEnum: false,
    elementSchema: null,
    elementName: null,
    elementIsEnum: null,
    isDeterministic: true,
    ...changes,
  }
  return Object.values(column).map((value) => {
    if (typeof value === 'boolean') return Buffer.from([Number(value)])
    return typeof value === 'string' ? Buffer.from(value) : value
  })
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
  const parameters = parameterDescription([oid])
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
  return preparedWith(PARAMETERS, columns, ...messages)
}

/** The same, with parameters of other types than those of the session query. */
export function preparedWith(parameters: number[], columns: number[], ...messages: Buffer[]): Reply {
  return (socket, types) => {
    const parts = types.includes('B')
      ? [bindComplete, ...messages]
      : [parseComplete, parameterDescription(parameters), rowDescription(columns)]
    socket.write(Buffer.concat([...parts, readyForQuery]))
  }
}

/** The parameters of the session query for one session: tenant, session and user. */
export const PARAMETERS = [TYPES.uuid, TYPES.uuid, TYPES.uuid]

export function parameterDescription(types: number[]) {
  return message('t', int16(types.length), ...types.map(int32))
}
