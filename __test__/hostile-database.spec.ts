// A hostile database, or an attacker who impersonates it where TLS doesn't verify the server. It can decide which sessions are
// live, but it can't make up a session without a token, crash the process, block other calls, or write log lines that don't
// look like a quotation of the database.

import { randomUUID } from 'node:crypto'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AuthBridge } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { diagnose } from './support/command-line.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { QUICK, rejectionOf, SLACK_MS } from './support/faults.js'
import {
  accepted,
  authenticationOk,
  commandComplete,
  dataRow,
  endlessTypes,
  errorResponse,
  int32,
  message,
  notice,
  prepared,
  type Reply,
  readyForQuery,
  rowDescription,
  startHostileServer,
  TYPES,
} from './support/hostile-server.js'

const DATABASE = 'ERR_AUTH_BRIDGE_DATABASE'
const TIMEOUT = 'ERR_AUTH_BRIDGE_TIMEOUT'

const user = { tenant: randomUUID(), id: randomUUID(), user_type: 'internal' }
const bytes = (uuid: string) => Buffer.from(uuid.replaceAll('-', ''), 'hex')
const { uuid, bool, text, int4 } = TYPES
const [no, yes] = [Buffer.from([0]), Buffer.from([1])]
/** The columns of the session query, and the rows of a live and of a revoked session. */
const COLUMNS = [uuid, bool, bool, text]
const LIVE = [bytes(user.id), no, no, Buffer.from('internal')]
const REVOKED = [bytes(user.id), yes, no, Buffer.from('internal')]

const open = useBridges()
const real = useDatabase()
let server: Awaited<ReturnType<typeof startHostileServer>>
let cookie: string

const mint = (session_id: string) => mintCookie({ ...user, session_id }, { secret: SECRET })
beforeAll(async () => {
  cookie = await mint(randomUUID())
})
beforeEach(async () => {
  server = await startHostileServer()
})
afterEach(() => server.close())

const connect = (options = {}) => open(server.url, { ...QUICK, maxConnections: 1, ...options })
const reply = (...messages: Buffer[]): Reply => {
  return (socket) => socket.write(Buffer.concat([accepted, ...messages, readyForQuery]))
}
const rows = (columns: number[], ...rows: (Buffer | null)[][]) =>
  reply(rowDescription(columns), ...rows.map(dataRow), commandComplete)

/** Asserts that the bridge accepts a valid reply, after an invalid one. */
async function expectSession(bridge: AuthBridge) {
  server.answer(rows(COLUMNS, LIVE))
  expect(await bridge.getSession(cookie)).toMatchObject({ user: { id: user.id } })
}

test('an honest server is understood', async () => {
  const bridge = connect()
  await expectSession(bridge)
  server.answer(rows(COLUMNS))
  expect(await bridge.getSession(cookie)).toEqual({})
  server.answer(rows(COLUMNS, REVOKED))
  expect(await bridge.getSession(cookie)).toEqual({})
})

test("it can't turn a token into the session of another user", async () => {
  const bridge = connect()
  const other = [bytes(randomUUID()), no, no, Buffer.from('internal')]
  for (const row of [other, [...LIVE.slice(0, 3), Buffer.from('client')], [...LIVE.slice(0, 3), null]]) {
    server.answer(rows(COLUMNS, row))
    expect(await bridge.getSession(cookie)).toEqual({})
  }
})

describe('an invalid reply: rejects, and the next call succeeds', () => {
  const broken: Record<string, { reply: Reply; code?: string }> = {
    'fewer columns': { reply: rows(COLUMNS.slice(0, 2), LIVE.slice(0, 2)) },
    'no columns': { reply: rows([], []) },
    'a row with fewer values than columns': { reply: rows(COLUMNS, LIVE.slice(0, 2)) },
    'a row with more values than columns': { reply: rows(COLUMNS, [...LIVE, yes]) },
    'columns of other types': { reply: rows([text, text, text, text], LIVE) },
    'columns in another order': { reply: rows([text, bool, bool, uuid], [...LIVE].reverse()) },
    'a UUID of 3 bytes': { reply: rows(COLUMNS, [Buffer.alloc(3), ...LIVE.slice(1)]) },
    'a boolean of 5 bytes': {
      reply: rows(COLUMNS, [bytes(user.id), Buffer.alloc(5), no, Buffer.from('internal')]),
    },
    'null instead of a boolean': {
      reply: rows(COLUMNS, [bytes(user.id), null, no, Buffer.from('internal')]),
    },
    'text that is not UTF-8': { reply: rows(COLUMNS, [...LIVE.slice(0, 3), Buffer.from([0xff, 0xfe])]) },
    'two rows for one session, a live one first': { reply: rows(COLUMNS, LIVE, REVOKED) },
    'two rows for one session, a live one last': { reply: rows(COLUMNS, REVOKED, LIVE) },
    'a row before its columns': { reply: reply(dataRow(LIVE), rowDescription(COLUMNS), commandComplete) },
    'an unknown message': { reply: reply(message('?', 'what')) },
    'a message of length 0': { reply: (socket) => socket.write(Buffer.concat([Buffer.from('D'), int32(0)])) },
    'a message of negative length': { reply: (socket) => socket.write(Buffer.concat([Buffer.from('D'), int32(-1)])) },
    'a truncated message': { reply: (socket) => socket.end(dataRow(LIVE).subarray(0, 9)) },
    'another protocol, whose greeting reads like the header of a long message': {
      reply: (socket) => socket.write('220 mail.example ESMTP\r\n'),
      code: TIMEOUT,
    },
    'a message of 2 GB that never arrives': {
      reply: (socket) => socket.write(Buffer.concat([Buffer.from('D'), int32(2 ** 31 - 1)])),
      code: TIMEOUT,
    },
  }
  test.each(Object.entries(broken))('%s', async (_, { reply, code = DATABASE }) => {
    const bridge = connect()
    server.answer(reply)
    const refused = await rejectionOf(bridge, cookie)
    expect({ code: refused.code, message: refused.message }).toEqual({
      code,
      message: expect.not.stringContaining('\n'),
    })
    expect(refused.message.length).toBeLessThan(800)
    expect(refused.elapsedMs).toBeLessThan(QUICK.queryTimeout + SLACK_MS)
    await expectSession(bridge)
  })
})

describe('an invalid reply to a prepared statement: rejects', () => {
  test.each<[string, Reply]>([
    ['fewer columns', prepared(COLUMNS.slice(0, 2), dataRow(LIVE.slice(0, 2)), commandComplete)],
    ['columns of other types', prepared([text, text, text, text], dataRow(LIVE), commandComplete)],
    ['a row with fewer values than columns', prepared(COLUMNS, dataRow(LIVE.slice(0, 2)), commandComplete)],
    ['two rows for one session', prepared(COLUMNS, dataRow(LIVE), dataRow(REVOKED), commandComplete)],
    ['an unknown message', prepared(COLUMNS, message('?', 'what'))],
  ])('%s', async (_, reply) => {
    const bridge = connect({ preparedStatements: true })
    server.answer(reply)
    expect((await rejectionOf(bridge, cookie)).code).toBe(DATABASE)
  })

  test('a valid reply is understood', async () => {
    server.answer(prepared(COLUMNS, dataRow(LIVE), commandComplete))
    expect(await connect({ preparedStatements: true }).getSession(cookie)).toMatchObject({ user: { id: user.id } })
  })
})

describe('looking for the tables: an invalid reply rejects, and is not kept', () => {
  const path = Buffer.from('public')
  const found = [path, Buffer.from('public')]
  test.each<[string, Reply]>([
    ['no row', rows([text, text])],
    ['a row for one of two tables', rows([text, text], found)],
    ['more rows than tables', rows([text, text], found, found, found)],
    ['fewer columns', rows([text], [path], [path])],
    ['columns of other types', rows([int4, uuid], [int32(1), bytes(user.id)], [int32(1), bytes(user.id)])],
    ['tables that are not there', rows([text, text], [path, null], [path, null])],
  ])('%s', async (_, reply) => {
    const bridge = open(server.url.replace('&schema=public', ''), { ...QUICK, maxConnections: 1 })
    server.answer(reply)
    expect((await rejectionOf(bridge, cookie)).code).toBe(DATABASE)
    server.answer((socket, asked) => {
      server.answer(rows(COLUMNS, LIVE))
      rows([text, text], found, found)(socket, asked)
    })
    expect(await bridge.getSession(cookie)).toMatchObject({ user: { id: user.id } })
  })

  test('a schema name that contains SQL is quoted', async () => {
    const bridge = open(server.url.replace('&schema=public', ''), { ...QUICK, maxConnections: 1 })
    let query = ''
    server.answer((socket, asked) => {
      socket.on('data', (sent) => {
        query += sent.toString('latin1')
      })
      server.answer(rows(COLUMNS, LIVE))
      const name = Buffer.from('x"; DROP TABLE users; --')
      rows([text, text], [path, name], [path, name])(socket, asked)
    })
    await bridge.getSession(cookie)
    expect(query).toContain('FROM "x""; DROP TABLE users; --"."sessions" s')
  })
})

describe('a column whose type is based on another type, and so on without end: rejects', () => {
  let last = TYPES.unknown
  const endless: Reply = (socket, asked) => {
    server.answer(endlessTypes(() => ++last))
    const described = [rowDescription([last]), readyForQuery]
    const parameters = message('t', Buffer.from([0, 2]), int32(uuid), int32(uuid))
    const parts = asked.includes('B') ? [accepted, ...described] : [message('1'), parameters, ...described]
    socket.write(Buffer.concat(parts))
  }

  test.each([true, false])('preparedStatements: %s', async (preparedStatements) => {
    const bridge = connect({ preparedStatements })
    server.answer(endless)
    const { code, message } = await rejectionOf(bridge, cookie)
    expect({ code, message }).toEqual({
      code: DATABASE,
      message: 'the database refused the session query: the type of a column is derived from too many other types',
    })
    await expectSession(connect())
  })

  test('types are not cached: base types would pile up from call to call, and end the process one day', async () => {
    const LEVELS = 50
    const bridge = connect()
    let top = TYPES.unknown
    let types = endlessTypes(() => int4)
    let asked = 0
    server.answer((socket, letters) => {
      if (!letters.startsWith('PB')) return types(socket, letters)
      top += LEVELS
      let below = top
      types = endlessTypes(() => {
        asked++
        return --below > TYPES.unknown ? below : int4
      })
      socket.write(Buffer.concat([accepted, rowDescription([top]), readyForQuery]))
    })
    for (const levels of [LEVELS, 2 * LEVELS, 3 * LEVELS]) {
      asked = 0
      expect(await bridge.getSession(cookie)).toEqual({})
      expect(asked).toBe(levels)
    }
  })

  test('doctor', async () => {
    server.answer(endless)
    const { check } = await diagnose({ env: { AUTH_SECRET: SECRET, DATABASE_URL: server.url } })
    expect(check('connection')?.status).toBe('ok')
  })
})

test('invalid details of an ended session: it stays ended', async () => {
  const bridge = connect()
  for (const end of [rows([text], [null]), rows([], []), reply(message('?', 'what')), rows(COLUMNS, LIVE)]) {
    server.answer((socket, asked) => {
      server.answer(end)
      rows(COLUMNS, REVOKED)(socket, asked)
    })
    expect(await bridge.explainSession(cookie)).toMatchObject({
      status: 'unauthenticated',
      ...{ reason: 'session-revoked', revokedAt: null, revokedReason: null },
    })
  }
})

describe('an endless reply: rejects in time, takes no memory, and blocks no other call', () => {
  /** The minimum number of other calls that succeed meanwhile. Of rows, the second is refused at once. */
  test.each([
    ['rows', dataRow(LIVE), 1],
    ['notices', notice('again'), 3],
  ])('%s', async (_, one, least) => {
    const flood = Buffer.concat(Array.from({ length: 1000 }, () => one))
    const bridge = connect({ maxConnections: 2 })
    await expectSession(bridge)
    const before = process.memoryUsage().rss
    server.answer((socket) => {
      // The reply to queries on the bridge's other connection.
      server.answer(rows(COLUMNS, LIVE))
      socket.write(Buffer.concat([accepted, rowDescription(COLUMNS)]))
      const more = () => {
        while (!socket.destroyed && socket.write(flood));
      }
      socket.on('drain', more)
      more()
    })
    const honest = open(real.url, QUICK)
    const other = await mint(randomUUID())
    const refused = rejectionOf(bridge, cookie)
    let isOver = false
    refused.finally(() => {
      isOver = true
    })
    let answered = 0
    for (; !isOver; answered++) {
      expect(await honest.getSession(cookie)).toEqual({})
      if (!isOver) expect(await bridge.getSession(other)).toMatchObject({ user: { id: user.id } })
    }
    expect(answered).toBeGreaterThanOrEqual(least)
    const { code, elapsedMs } = await refused
    expect([DATABASE, TIMEOUT]).toContain(code)
    expect(elapsedMs).toBeLessThan(QUICK.queryTimeout + SLACK_MS)
    expect(process.memoryUsage().rss - before).toBeLessThan(200e6)
    await expectSession(bridge)
  })
})

test('doctor reports a row that is missing from a query that always has one', async () => {
  server.answer(rows([]))
  const { check } = await diagnose({ env: { AUTH_SECRET: SECRET, DATABASE_URL: server.url } })
  expect(check('server')).toMatchObject({ status: 'failed', message: expect.stringContaining('no row') })
})

test('it must say whether it is a standby, if target_session_attrs needs that', async () => {
  const odd = [[text], [text, text]].map((columns) => [
    rowDescription(columns),
    dataRow(columns.map(() => Buffer.from('x'))),
  ])
  for (const answer of odd) {
    server.onConnect((socket) => {
      socket.once('data', () => {
        socket.write(Buffer.concat([authenticationOk, readyForQuery]))
        socket.on('data', () => socket.write(Buffer.concat([...answer, commandComplete, readyForQuery])))
      })
    })
    const bridge = open(`${server.url}&target_session_attrs=read-write`, QUICK)
    expect(await rejectionOf(bridge, cookie)).toMatchObject({
      code: DATABASE,
      message: expect.stringContaining('does not say whether it is a standby'),
    })
  }
})

describe('several sessions in one query', () => {
  const sessions = [randomUUID(), randomUUID(), randomUUID()]
  const placed = [...COLUMNS, int4]
  const row = (place: number, values = LIVE) => [...values, int32(place)]
  let cookies: string[]
  beforeAll(async () => {
    cookies = await Promise.all(sessions.map(mint))
  })

  /** The calls wait while the only connection is busy with another session, so that one query is sent for all. */
  async function outcomes(reply: Reply, options = {}) {
    const bridge = connect(options)
    let first: Promise<unknown> | undefined
    const isBusy = new Promise<void>((resolve) => {
      server.answer((socket) => {
        server.answer(reply)
        setTimeout(() => rows(COLUMNS, LIVE)(socket, ''), 100)
        resolve()
      })
      first = bridge.getSession(cookie)
    })
    await isBusy
    const settled = await Promise.allSettled(cookies.map((cookie) => bridge.getSession(cookie)))
    await first
    return settled.map((outcome) =>
      outcome.status === 'rejected' ? outcome.reason.code : (outcome.value.session_id ?? 'unauthenticated'),
    )
  }

  test('each session gets the row of its place, in any order', async () => {
    const reply = rows(placed, row(2), row(1, REVOKED), row(0))
    expect(await outcomes(reply)).toEqual([sessions[0], 'unauthenticated', sessions[2]])
  })

  test('a row for an unknown place is an error for all sessions', async () => {
    for (const place of [3, -1, 2 ** 31 - 1]) {
      expect(await outcomes(rows(placed, row(0), row(place)))).toEqual(Array(3).fill(DATABASE))
    }
  })

  test('two rows for one place are an error for that session only', async () => {
    expect(await outcomes(rows(placed, row(0), row(1), row(1, REVOKED)))).toEqual([
      sessions[0],
      DATABASE,
      'unauthenticated',
    ])
  })

  describe('of one tenant, with sharded', () => {
    const named = [...COLUMNS, uuid]
    const row = (session = '', values = LIVE) => [...values, bytes(session)]
    const [first, second, third] = sessions
    test.each<[string, Reply, (string | undefined)[]]>([
      [
        'each session gets the row of its id',
        rows(named, row(third), row(second, REVOKED), row(first)),
        [first, 'unauthenticated', third],
      ],
      [
        'a row for an unknown session is an error for all sessions',
        rows(named, row(first), row(randomUUID())),
        Array(3).fill(DATABASE),
      ],
      [
        'two rows for one session are an error for that session only',
        rows(named, row(first), row(second), row(second)),
        [first, DATABASE, 'unauthenticated'],
      ],
    ])('%s', async (_, reply, expected) => {
      expect(await outcomes(reply, { sharded: true })).toEqual(expected)
    })
  })

  test('so are many rows for one place', async () => {
    const many = Array.from({ length: 1000 }, () => row(1))
    expect(await outcomes(rows(placed, row(0), ...many, row(2)))).toEqual([sessions[0], DATABASE, sessions[2]])
  })
})

describe('the text of its errors', () => {
  test('is cut, and put on one line', async () => {
    const bridge = connect()
    const text = `line\nforged: 200 OK\r\u001b[31mred${'x'.repeat(1_000_000)}`
    const error = errorResponse({ S: 'ERROR', C: 'XX000', M: text })
    server.answer((socket) => socket.write(Buffer.concat([error, readyForQuery])))
    const { code, message } = await rejectionOf(bridge, cookie)
    expect(code).toBe(DATABASE)
    expect(message).toMatch(/^the database refused the session query: line forged: 200 OK {2}\[31mred/)
    expect(message.length).toBeLessThan(800)
    expect(message).not.toMatch(/\p{Cc}/u)
    await expectSession(bridge)
  })

  test('an SQLSTATE is cut to five characters', async () => {
    const error = errorResponse({ S: 'ERROR', C: `XX\n${'0'.repeat(1000)}`, M: 'wrong' })
    server.answer((socket) => socket.write(Buffer.concat([error, readyForQuery])))
    const { message } = await rejectionOf(connect(), cookie)
    expect(message).toBe('the database refused the session query: wrong (SQLSTATE XX 00)')
  })

  test('the name of a type is cut, and put on one line', async () => {
    server.answer((socket) => {
      server.answer(endlessTypes(() => int4, `type\nforged${'x'.repeat(1000)}`))
      socket.write(Buffer.concat([accepted, rowDescription([TYPES.unknown]), dataRow([int32(1)]), readyForQuery]))
    })
    const { message } = await rejectionOf(connect(), cookie)
    expect(message).toMatch(/: sessions\.user_id is not of the type .* but type forgedx+/)
    expect(message.length).toBeLessThan(800)
  })

  test('the error at the end of SCRAM is cut, and stays on one line', async () => {
    const steps = [
      () => message('R', int32(10), 'SCRAM-SHA-256\0\0'),
      (asked: string) => message('R', int32(11), `r=${/r=([^,]+)/.exec(asked)?.[1]}x,s=c2FsdA==,i=4096`),
      () => message('R', int32(12), `e=line\nforged${'x'.repeat(10_000)}`),
    ]
    server.onConnect((socket) => {
      socket.on('data', (bytes) => {
        const step = steps.shift()
        if (step) socket.write(step(bytes.toString('latin1')))
      })
    })
    const { message: said } = await rejectionOf(connect(), cookie)
    expect(said).toMatch(/line forgedx+/)
    expect(said.length).toBeLessThan(800)
  })

  test('excludes the detail, the hint and the query, which may quote data', async () => {
    const bridge = connect()
    const fields = { S: 'ERROR', C: '22P02', M: 'wrong', D: 'detail', H: 'hint', W: 'where', q: 'query', p: '1' }
    server.answer((socket) => socket.write(Buffer.concat([errorResponse(fields), readyForQuery])))
    const { message } = await rejectionOf(bridge, cookie)
    expect(message).toBe('the database refused the session query: wrong (SQLSTATE 22P02)')
  })
})
