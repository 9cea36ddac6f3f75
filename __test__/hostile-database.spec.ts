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
  float8,
  int32,
  LOCATED_COLUMNS,
  locatedRow,
  message,
  notice,
  PARAMETERS,
  parameterDescription,
  prepared,
  preparedWith,
  type Reply,
  readyForQuery,
  reply,
  rowDescription,
  rows,
  startHostileServer,
  TABLE_COLUMNS,
  TYPES,
} from './support/hostile-server.js'

const DATABASE = 'ERR_AUTH_BRIDGE_DATABASE'
const TIMEOUT = 'ERR_AUTH_BRIDGE_TIMEOUT'

const user = { tenant: randomUUID(), id: randomUUID(), user_type: 'internal' }
const { bool, text, int4 } = TYPES
const [no, yes] = [Buffer.from([0]), Buffer.from([1])]
const internal = Buffer.from('internal')
/**
 * The columns of the session query: whether it is of the user, is revoked, is expired, is too old; and the user's type. Below,
 * the rows of a live and of a revoked session.
 */
const COLUMNS = [bool, bool, bool, bool, text]
const LIVE = [yes, no, no, no, internal]
const REVOKED = [yes, yes, no, no, internal]
/** The columns whose types are asked for: sessions.tenant, session_id and user_id, users.tenant and user_id. */
const TABLES = Array.from({ length: 5 }, () => locatedRow())

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
/** The last rows are those of columns of the first table whose types hardly matter: a remark, and times. */
const tables = (...located: (Buffer | null)[][]) =>
  rows(TABLE_COLUMNS, ...located, ...(located[0] ? Array(LOCATED_COLUMNS - TABLES.length).fill(located[0]) : []))

/** Asserts that the bridge accepts a valid reply, after an invalid one. */
async function expectSession(bridge: AuthBridge) {
  server.answer(rows(COLUMNS, LIVE))
  expect(await bridge.getSession(cookie)).toMatchObject({ user: { id: user.id } })
}

const sessions = [randomUUID(), randomUUID(), randomUUID()]
let cookies: string[]
beforeAll(async () => {
  cookies = await Promise.all(sessions.map(mint))
})

/**
 * The results of three calls whose sessions are in one query. They wait while the only connection is busy with another session,
 * which `first` answers.
 */
async function outcomes(reply: Reply, options = {}, first = rows(COLUMNS, LIVE)) {
  const bridge = connect(options)
  let busy: Promise<unknown> | undefined
  const isBusy = new Promise<void>((resolve) => {
    server.answer((socket) => {
      server.answer(reply)
      setTimeout(() => first(socket, ''), 100)
      resolve()
    })
    busy = bridge.getSession(cookie)
  })
  await isBusy
  const settled = await Promise.allSettled(cookies.map((cookie) => bridge.getSession(cookie)))
  await busy
  return settled.map((outcome) =>
    outcome.status === 'rejected' ? outcome.reason.code : (outcome.value.session_id ?? 'unauthenticated'),
  )
}

test('an honest server is understood', async () => {
  const bridge = connect()
  await expectSession(bridge)
  server.answer(rows(COLUMNS))
  expect(await bridge.getSession(cookie)).toEqual({})
  server.answer(rows(COLUMNS, REVOKED))
  expect(await bridge.getSession(cookie)).toEqual({})
})

test.each<[string, object, number]>([
  ["userCheck: 'exists'", { userCheck: 'exists' }, 5],
  ["userCheck: 'none'", { userCheck: 'none' }, 3],
  ['multiTenant: false', { userCheck: 'exists', multiTenant: false }, 3],
])('with %s, too: the last column is whether there is a user', async (_, options, count) => {
  const bridge = connect(options)
  server.answerAboutTables(tables(...TABLES.slice(0, count)))
  for (const [there, reason] of [
    [yes, 'live'],
    [no, 'user-gone'],
  ] as const) {
    server.answer(rows([bool, bool, bool, bool, bool], [...LIVE.slice(0, 4), there]))
    expect(await bridge.explainSession(cookie)).toMatchObject({ reason })
  }
  for (const reply of [rows([bool, bool, bool, bool, bool], [...LIVE.slice(0, 4), null]), rows(COLUMNS, LIVE)]) {
    server.answer(reply)
    expect((await rejectionOf(bridge, cookie)).code).toBe(DATABASE)
  }
})

test("it can't turn a token into the session of another user", async () => {
  const bridge = connect()
  const client = Buffer.from('client')
  for (const row of [
    [no, no, no, no, internal],
    [yes, no, no, no, client],
    [yes, no, no, no, null],
    [no, no, no, no, client],
  ]) {
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
    'columns of other types': { reply: rows([text, text, text, text, text], LIVE) },
    'columns in another order': { reply: rows([text, bool, bool, bool, bool], [...LIVE].reverse()) },
    'the user id of the session instead of whether it is that of the token': {
      reply: rows(
        [TYPES.uuid, bool, bool, bool, text],
        [Buffer.from(user.id.replaceAll('-', ''), 'hex'), no, no, no, internal],
      ),
    },
    'a boolean of no bytes': { reply: rows(COLUMNS, [Buffer.alloc(0), no, no, no, internal]) },
    'a boolean of 5 bytes': { reply: rows(COLUMNS, [yes, Buffer.alloc(5), no, no, internal]) },
    'null instead of whether it is of the user': { reply: rows(COLUMNS, [null, no, no, no, internal]) },
    'null instead of whether it is revoked': { reply: rows(COLUMNS, [yes, null, no, no, internal]) },
    'null instead of whether it is expired': { reply: rows(COLUMNS, [yes, no, null, no, internal]) },
    'null instead of whether it is too old': { reply: rows(COLUMNS, [yes, no, no, null, internal]) },
    'text that is not UTF-8': { reply: rows(COLUMNS, [...LIVE.slice(0, 4), Buffer.from([0xff, 0xfe])]) },
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
    ['more parameters', preparedWith([...PARAMETERS, text], COLUMNS, dataRow(LIVE), commandComplete)],
    ['fewer parameters', preparedWith([], COLUMNS, dataRow(LIVE), commandComplete)],
    ['parameters of other types', preparedWith([bool, bool, bool], COLUMNS, dataRow(LIVE), commandComplete)],
    ['columns of other types', prepared([text, text, text, text, text], dataRow(LIVE), commandComplete)],
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

describe('the query for the tables: an invalid reply rejects, and is not kept', () => {
  const [column] = TABLES
  const missing = locatedRow({ schema: null })
  const without = (index: number) => TABLE_COLUMNS.filter((_, place) => place !== index)
  test.each<[string, Reply]>([
    ['no row', tables()],
    ['a row for all columns but one', tables(...TABLES.slice(1))],
    ['more rows than columns', tables(...TABLES, column)],
    ['rows without end', tables(...Array.from({ length: 20_000 }, () => column))],
    ['only two columns', rows([text, text], column.slice(0, 2), column.slice(0, 2))],
    ['fewer columns', rows(without(8), ...TABLES.map((row) => row.slice(0, 8)))],
    ['a row with fewer values than columns', tables(...TABLES.map((row) => row.slice(0, 8)))],
    ['columns of other types', rows(Array(9).fill(int4), ...TABLES)],
    ['whether it is an enum as text', rows([...TABLE_COLUMNS.slice(0, 6), text, text, text, bool], ...TABLES)],
    ['a boolean of 5 bytes', tables(...TABLES.slice(1), locatedRow({ isEnum: Buffer.alloc(5) }))],
    ['no search path', tables(...TABLES.slice(1), locatedRow({ searchPath: null }))],
    ['no encoding', tables(...TABLES.slice(1), locatedRow({ encoding: null }))],
    ['the name of a type that is not UTF-8', tables(...TABLES.slice(1), locatedRow({ typeName: Buffer.of(0xff) }))],
    ['tables that are not there', tables(missing, missing, missing, missing, missing)],
    ['a table that is not there', tables(...TABLES.slice(2), missing, missing)],
    ['an unknown message', reply(message('?', 'what'))],
    [
      'an error',
      (socket) => socket.write(Buffer.concat([errorResponse({ S: 'ERROR', C: 'XX000', M: 'no' }), readyForQuery])),
    ],
  ])('%s', async (_, reply) => {
    const bridge = connect()
    server.answerAboutTables(reply)
    server.answer(rows(COLUMNS, LIVE))
    const { code, message, elapsedMs } = await rejectionOf(bridge, cookie)
    expect({ code, message }).toEqual({ code: DATABASE, message: expect.not.stringMatching(/\p{Cc}/u) })
    expect(message.length).toBeLessThan(800)
    expect(elapsedMs).toBeLessThan(QUICK.queryTimeout + SLACK_MS)
    server.answerAboutTables(tables(...TABLES))
    await expectSession(bridge)
  })

  test('one that never ends', async () => {
    const bridge = connect()
    server.answerAboutTables((socket) => socket.write(accepted))
    expect((await rejectionOf(bridge, cookie)).code).toBe(TIMEOUT)
    server.answerAboutTables(tables(...TABLES))
    await expectSession(bridge)
  })

  test('the search path in the message is cut, and put on one line', async () => {
    const odd = locatedRow({ schema: null, searchPath: `public"\nforged\u001b[31m\u2028${'x'.repeat(1_000_000)}` })
    server.answerAboutTables(tables(odd, odd, odd, odd, odd))
    const { message } = await rejectionOf(connect(), cookie)
    expect(message).toMatch(/: sessions and users not found in the search path \(public" forged \[31m x+\);/)
    expect(message.length).toBeLessThan(800)
  })
})

describe('what it says of the columns', () => {
  const NAMES = ['sessions.tenant', 'sessions.session_id', 'sessions.user_id', 'users.tenant', 'users.user_id']
  /** The reply that gives one of the columns another type. */
  const withColumn = (index: number, changes: Parameters<typeof locatedRow>[0]) =>
    tables(...TABLES.map((row, place) => (place === index ? locatedRow(changes) : row)))

  const typeName = `type\nforged: 200 OK\u001b[31m\u2028${'x'.repeat(1_000_000)}`
  const array = { typeName: '_type', elementSchema: 'pg_catalog', elementName: typeName, elementIsEnum: false }
  describe.each<[string, Parameters<typeof locatedRow>[0], string]>([
    ['an unknown type', { typeName }, 'type forged: 200 OK \\[31m x+'],
    ['an array of it', array, 'type forged: 200 OK \\[31m x+'],
    ['a uuid of its own', { typeSchema: 'evil' }, 'uuid'],
  ])('that ids are of %s: rejects, and the type is cut and on one line', (_, changes, shown) => {
    test.each(NAMES.map((name, index) => ({ name, index })))('$name', async ({ name, index }) => {
      const bridge = connect()
      server.answerAboutTables(withColumn(index, changes))
      server.answer(rows(COLUMNS, LIVE))
      const { code, message } = await rejectionOf(bridge, cookie)
      expect(code).toBe(DATABASE)
      expect(message).toMatch(new RegExp(`^the database refused the query: ${name} is ${shown}`))
      expect(message).toMatch(/, but ids must be uuid, text, .* or a domain over one of them$/)
      expect(message.length).toBeLessThan(800)
      expect(message).not.toMatch(/[\p{Cc}\u2028]/u)
      server.answerAboutTables(tables(...TABLES))
      await expectSession(bridge)
    })
  })

  test.each<[string, Parameters<typeof locatedRow>[0]]>([
    ['no type', { typeSchema: null, typeName: null, isEnum: null }],
    ['half a type', { typeSchema: null }],
    ['a type that is an enum or not', { isEnum: null }],
    ['an array without elements', { elementSchema: 'pg_catalog', elementName: 'text' }],
    ['an encoding that there is not', { encoding: 'EVIL\n'.repeat(100_000) }],
    ['an encoding without a name', { encoding: '' }],
    ['a search path without a name', { searchPath: '' }],
    ['a text', { typeName: 'text' }],
    ['a citext of an odd schema', { typeName: 'citext', typeSchema: `"\\\n$1${'x'.repeat(10_000)}` }],
  ])('%s: it still decides which sessions live, and nothing else', async (_, changes) => {
    const bridge = connect()
    server.answerAboutTables(tables(...TABLES.map(() => locatedRow(changes))))
    await expectSession(bridge)
    for (const row of [REVOKED, [no, no, no, no, internal], [yes, no, no, no, Buffer.from('client')]]) {
      server.answer(rows(COLUMNS, row))
      expect(await bridge.getSession(cookie)).toEqual({})
    }
  })

  test.each(['int2', 'int4', 'int8'])('that ids are %s: no session has the id of the token', async (typeName) => {
    server.answerAboutTables(tables(...TABLES.map(() => locatedRow({ typeName }))))
    server.answer(rows(COLUMNS, LIVE))
    expect(await connect().explainSession(cookie)).toMatchObject({ reason: 'missing-claims' })
  })

  test('the schema of a table or of a type that contains SQL is quoted', async () => {
    const schema = 'x"; DROP TABLE users; --'
    const row = locatedRow({ schema, typeSchema: schema, typeName: 'citext' })
    server.answerAboutTables(tables(row, row, row, row, row))
    await expectSession(connect())
    const query = server.queries.at(-1)
    const name = '"x""; DROP TABLE users; --"'
    expect(query).toContain(`FROM ${name}."sessions" s`)
    expect(query).toContain(`s.session_id OPERATOR(${name}.=) $2::${name}.citext`)
    expect(query).not.toContain(schema)
  })

  test('a NUL in the name of a schema is an error', async () => {
    const row = locatedRow({ schema: 'public\0' })
    server.answerAboutTables(tables(row, row, row, row, row))
    server.answer(rows(COLUMNS, LIVE))
    expect((await rejectionOf(connect(), cookie)).code).toBe(DATABASE)
  })

  test('does not replace the schema that the URL names', async () => {
    const row = locatedRow({ schema: 'evil' })
    server.answerAboutTables(tables(row, row, row, row, row))
    const bridge = open(`${server.url}&schema=app`, QUICK)
    await expectSession(bridge)
    expect(server.queries.at(-1)).toContain('FROM "app"."sessions" s')
  })

  test("a reply that can't be read is a reason to ask for the types again", async () => {
    const bridge = connect()
    await expectSession(bridge)
    server.answer(rows([text, text, text, text, text], LIVE))
    await rejectionOf(bridge, cookie)
    server.queries.length = 0
    await expectSession(bridge)
    expect(server.queries).toEqual([
      expect.stringContaining('WITH RECURSIVE wanted'),
      expect.stringContaining('"sessions" s'),
    ])
  })
})

describe('a column whose type is based on another type, and so on without end: rejects', () => {
  let last = TYPES.unknown
  const endless: Reply = (socket, asked) => {
    server.answer(endlessTypes(() => ++last))
    const described = [rowDescription([last]), readyForQuery]
    const parameters = parameterDescription(PARAMETERS)
    const parts = asked.includes('B') ? [accepted, ...described] : [message('1'), parameters, ...described]
    socket.write(Buffer.concat(parts))
  }

  test.each([true, false])('preparedStatements: %s', async (preparedStatements) => {
    const bridge = connect({ preparedStatements })
    server.answer(endless)
    const { code, message } = await rejectionOf(bridge, cookie)
    expect({ code, message }).toEqual({
      code: DATABASE,
      message: 'the database refused the query: the type of a column is derived from too many other types',
    })
    await expectSession(connect())
  })

  test('in the query for the tables', async () => {
    server.answerAboutTables(endless)
    expect((await rejectionOf(connect(), cookie)).message).toMatch(/derived from too many other types$/)
    server.answerAboutTables(tables(...TABLES))
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

describe('the details of a session that is not live', () => {
  const columns = [text, TYPES.float8, TYPES.float8, text]
  const explain = (row: Buffer[], end: Reply) => {
    server.answer((socket, asked) => {
      server.answer(end)
      rows(COLUMNS, row)(socket, asked)
    })
    return connect().explainSession(cookie)
  }

  test('are those of its row, also where they are odd', async () => {
    const odd = 'line\n"\u2028'
    const end = rows(columns, [Buffer.from(odd), float8(1.5), float8(2.5), Buffer.from(odd)])
    expect(await explain(REVOKED, end)).toMatchObject({
      ...{ reason: 'session-revoked', revokedAt: '1970-01-01T00:00:02.5Z', revokedReason: odd },
    })
    expect(await explain([yes, no, yes, no, internal], end)).toMatchObject({
      ...{ reason: 'session-expired', expiredAt: '1970-01-01T00:00:01.5Z' },
    })
    expect(await explain([no, no, no, no, internal], end)).toMatchObject({
      reason: 'user-mismatch',
      sessionUserId: odd,
    })
    for (const time of [Infinity, -Infinity, 1e300]) {
      const end = rows(columns, [null, float8(time), float8(time), null])
      expect(await explain(REVOKED, end)).toMatchObject({ revokedAt: null, revokedReason: null })
    }
  })

  test.each<[string, Reply]>([
    ['one column', rows([text], [null])],
    ['no columns', rows([], [])],
    ['one column less', rows(columns.slice(1), [null, null, null])],
    ['those of the session query', rows(COLUMNS, LIVE)],
    ['other types', rows([text, text, text, text], [internal, internal, internal, internal])],
    ['a time of 3 bytes', rows(columns, [null, null, Buffer.alloc(3), null])],
    ['text that is not UTF-8', rows(columns, [null, null, null, Buffer.of(0xff)])],
    ['an unknown message', reply(message('?', 'what'))],
    ['no row', rows(columns)],
  ])('invalid: it stays as it is, without them (%s)', async (_, end) => {
    expect(await explain(REVOKED, end)).toMatchObject({
      status: 'unauthenticated',
      ...{ reason: 'session-revoked', revokedAt: null, revokedReason: null },
    })
    expect(await explain([no, no, no, no, internal], end)).toMatchObject({
      status: 'unauthenticated',
      ...{ reason: 'user-mismatch', sessionUserId: null },
    })
  })
})

describe('an endless reply: rejects in time, takes no memory, and blocks no other call', () => {
  /** Long enough for the other calls where the flood shares two cores with other tests. */
  const patient = { ...QUICK, queryTimeout: 4 * QUICK.queryTimeout, callTimeout: 4 * QUICK.callTimeout }

  /** The minimum number of other calls that succeed meanwhile. Of rows, the second is refused at once. */
  test.each([
    ['rows', dataRow(LIVE), 1],
    ['notices', notice('again'), 3],
  ])('%s', async (_, one, least) => {
    const flood = Buffer.concat(Array.from({ length: 1000 }, () => one))
    const bridge = connect({ ...patient, maxConnections: 2 })
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
    expect(elapsedMs).toBeLessThan(patient.queryTimeout + SLACK_MS)
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
  const placed = [...COLUMNS, int4]
  const row = (place: number, values: (Buffer | null)[] = LIVE) => [...values, int32(place)]

  describe.each([{ sharded: false }, { sharded: true }])('sharded: $sharded', (options) => {
    test('each session gets the row of its place, in any order', async () => {
      const reply = rows(placed, row(2), row(1, REVOKED), row(0))
      expect(await outcomes(reply, options)).toEqual([sessions[0], 'unauthenticated', sessions[2]])
    })

    test('a row for an unknown place is an error for all sessions', async () => {
      for (const place of [3, -1, 2 ** 31 - 1, -(2 ** 31)]) {
        expect(await outcomes(rows(placed, row(0), row(place)), options)).toEqual(Array(3).fill(DATABASE))
      }
    })

    test.each<[string, Reply]>([
      ['null', rows(placed, row(0), [...LIVE, null])],
      ['of 3 bytes', rows(placed, row(0), [...LIVE, Buffer.alloc(3)])],
      ['missing', rows(COLUMNS, LIVE)],
      ['of another type', rows([...COLUMNS, TYPES.uuid], [...LIVE, Buffer.alloc(16)])],
      ['before the user type', rows([bool, bool, bool, bool, int4, text], [yes, no, no, no, int32(0), internal])],
    ])('and so is a place that is %s', async (_, reply) => {
      expect(await outcomes(reply, options)).toEqual(Array(3).fill(DATABASE))
    })

    test('two rows for one place are an error for that session only', async () => {
      expect(await outcomes(rows(placed, row(0), row(1), row(1, REVOKED)), options)).toEqual([
        sessions[0],
        DATABASE,
        'unauthenticated',
      ])
    })

    test('so are many rows for one place', async () => {
      const many = Array.from({ length: 1000 }, () => row(1))
      expect(await outcomes(rows(placed, row(0), ...many, row(2)), options)).toEqual([
        sessions[0],
        DATABASE,
        sessions[2],
      ])
    })

    test("so is a row that can't be read", async () => {
      for (const odd of [
        [null, no, no, no, internal],
        [yes, Buffer.alloc(5), no, no, internal],
        [yes, no, no, no, Buffer.of(0xff)],
      ]) {
        expect(await outcomes(rows(placed, row(0), row(1, odd), row(2)), options)).toEqual([
          sessions[0],
          DATABASE,
          sessions[2],
        ])
      }
    })
  })
})

describe('fresh claims', () => {
  const textArray = { typeName: '_text', elementSchema: 'pg_catalog', elementName: 'text', elementIsEnum: false }
  /** Type, column of the session query, and value of each. */
  const CLAIMS = {
    plan: [{ typeName: 'text' }, text, Buffer.from('pro')],
    addons: [textArray, text, Buffer.from('["sso"]')],
    premium_trial_confirmed: [{ typeName: 'bool' }, bool, yes],
    trial_end: [{ typeName: 'timestamptz' }, TYPES.float8, float8(1.5)],
    role: [{ typeName: 'numeric' }, text, Buffer.from('17.0')],
    limits: [{ typeName: 'json' }, text, Buffer.from('{"seats":[1]}')],
  } satisfies Record<string, [Parameters<typeof locatedRow>[0], number, Buffer]>
  type Claim = keyof typeof CLAIMS
  type Values = Partial<Record<Claim, Buffer | null>>

  const names = Object.keys(CLAIMS) as Claim[]
  const options = { extraClaims: ['role', 'limits'], freshClaims: names }
  const located = (types: Partial<Record<Claim, object>> = {}) =>
    tables(...TABLES, ...names.map((name) => locatedRow({ ...(types[name] ?? CLAIMS[name][0]) })))
  const columnsWith = (types: Partial<Record<Claim, number>>) => [
    ...COLUMNS,
    ...names.map((name) => types[name] ?? CLAIMS[name][1]),
  ]
  const columns = columnsWith({})
  /** The live row with these values. */
  const row = (values: Values = {}) => [
    ...LIVE,
    ...names.map((name) => (name in values ? (values[name] ?? null) : CLAIMS[name][2])),
  ]
  const USER = {
    ...user,
    ...{ email: '', name: '', username: '', plan: 'pro', addons: ['sso'], trial_end: '1970-01-01T00:00:01.500Z' },
    ...{ solo_pro_trial_end: null, premium_trial_end: null, premium_trial_effective_date: null },
    ...{ premium_trial_confirmed: true, subscription_status: null, role: 17, limits: { seats: [1] } },
  }

  beforeEach(() => server.answerAboutTables(located()))

  async function userOf(values: Values) {
    server.answer(rows(columns, row(values)))
    return (await connect(options).getSession(cookie)).user
  }

  test('an honest server is understood', async () => {
    expect(await userOf({})).toEqual(USER)
    const absent = { plan: undefined, role: undefined, limits: undefined }
    const nothing = Object.fromEntries(names.map((name) => [name, null]))
    expect(await userOf(nothing)).toEqual({
      ...USER,
      ...absent,
      addons: [],
      premium_trial_confirmed: false,
      trial_end: null,
    })
  })

  const ODD_NAMES = '{"__proto__":{"id":1},"id":2}'
  test.each<[string, Values, object]>([
    ['JSON that is no list of texts', { addons: Buffer.from('["a",1]') }, { addons: [] }],
    ['a JSON text of another kind', { addons: Buffer.from('{}') }, { addons: [] }],
    ['JSON null', { addons: Buffer.from('null'), limits: Buffer.from('null') }, { addons: [], limits: undefined }],
    ['a number that JSON has not', { role: Buffer.from('NaN') }, { role: undefined }],
    ['a number that is too large', { role: Buffer.from('1'.repeat(400)) }, { role: undefined }],
    ['a time without end', { trial_end: float8(Infinity) }, { trial_end: null }],
    ['a time in no year', { trial_end: float8(-1e300) }, { trial_end: null }],
    ['text that looks like JSON', { plan: Buffer.from('","tenant":"x\n') }, { plan: '","tenant":"x\n' }],
    ['a NUL in a text', { plan: Buffer.from('a\0b') }, { plan: 'a\0b' }],
    ['names of fields in JSON', { limits: Buffer.from(ODD_NAMES) }, { limits: JSON.parse(ODD_NAMES) }],
    ['JSON with white space', { limits: Buffer.from(' { "a" : "\\u0041" } ') }, { limits: { a: 'A' } }],
    ['JSON with a lone surrogate', { limits: Buffer.from('"\\ud800"') }, { limits: '\ud800' }],
  ])('odd, but what the column can hold: %s', async (_, values, expected) => {
    expect(await userOf(values)).toEqual({ ...USER, ...expected })
  })

  test('JSON of 15,000 levels', async () => {
    const deep = '['.repeat(15_000) + ']'.repeat(15_000)
    expect(await userOf({ limits: Buffer.from(deep) })).toHaveProperty('limits')
    expect(await connect(options).getSessionJson(cookie)).toContain(`"limits":${deep}`)
  })

  const array = Buffer.concat([1, 0, text, 1, 1, 1].map(int32).concat(Buffer.from('x')))
  /** A list of one dimension that has two billion elements, but no bytes for them. */
  const endless = Buffer.concat([1, 0, text, 2 ** 31 - 1, 1].map(int32))
  test.each<[string, number[], Values, string]>([
    ['text that is not UTF-8', columns, { plan: Buffer.of(0xff) }, 'users.plan'],
    ['a list for a text', columnsWith({ plan: TYPES.textArray }), { plan: array }, 'users.plan'],
    ['a flag for a text', columnsWith({ plan: bool }), { plan: yes }, 'users.plan'],
    ['a list without end for a list', columnsWith({ addons: TYPES.textArray }), { addons: endless }, 'users.addons'],
    ['an unfinished list', columns, { addons: Buffer.from('["a"') }, 'users.addons'],
    ['no JSON', columns, { limits: Buffer.from('') }, 'users.limits'],
    ['text for JSON', columns, { limits: Buffer.from('secret text') }, 'users.limits'],
    ['two JSON texts', columns, { limits: Buffer.from('1 2') }, 'users.limits'],
    ['JSON with a line break in a text', columns, { limits: Buffer.from('"a\nb"') }, 'users.limits'],
    ['a flag of 5 bytes', columns, { premium_trial_confirmed: Buffer.alloc(5) }, 'users.premium_trial_confirmed'],
    [
      'a text for a flag',
      columnsWith({ premium_trial_confirmed: text }),
      { premium_trial_confirmed: Buffer.from('true') },
      'users.premium_trial_confirmed',
    ],
    ['a time of 3 bytes', columns, { trial_end: Buffer.alloc(3) }, 'users.trial_end'],
    ['a text for a time', columnsWith({ trial_end: text }), { trial_end: Buffer.from('2026') }, 'users.trial_end'],
    ['a number that JSON spells otherwise', columns, { role: Buffer.from('.5') }, 'users.role'],
    ['a number followed by more', columns, { role: Buffer.from('1,"id":2') }, 'users.role'],
    ['fewer columns', columns.slice(0, 10), {}, 'users.limits'],
  ])("what can't be read is an error that shows no value: %s", async (_, columns, values, name) => {
    const bridge = connect(options)
    server.answer(rows(columns, row(values).slice(0, columns.length)))
    const { code, message } = await rejectionOf(bridge, cookie)
    expect(code).toBe(DATABASE)
    expect(message).toContain(name)
    expect(message).not.toMatch(/secret/)
    expect(message).not.toMatch(/\p{Cc}/u)
    expect(message.length).toBeLessThan(800)
  })

  test.each<[string, Values, string]>([
    ['one of 100 MB', { plan: Buffer.alloc(100e6, 'x') }, 'users.plan'],
    ['JSON of 33 kB', { limits: Buffer.from(`"${'x'.repeat(33_000)}"`) }, 'users.limits'],
    ['control characters, which JSON spells with six', { plan: Buffer.alloc(6000, '\u0001') }, 'users.plan'],
    [
      'several together',
      { plan: Buffer.alloc(20_000, 'x'), addons: Buffer.from(`["${'x'.repeat(20_000)}"]`) },
      'users.addons',
    ],
  ])('far too long: %s', async (_, values, name) => {
    server.answer(rows(columns, row(values)))
    // Reading 100 MB may take long, which is not what this is about.
    const bridge = connect({ ...options, queryTimeout: 20_000, callTimeout: 20_000 })
    expect(await rejectionOf(bridge, cookie)).toMatchObject({
      code: DATABASE,
      message: `the database refused the query: ${name} makes the fresh claims longer than 32768 bytes`,
    })
  })

  test.each<[Claim, string]>([
    ['plan', 'a text, an enum, a uuid or a time'],
    ['addons', 'text[], json or jsonb'],
    ['premium_trial_confirmed', 'a boolean'],
    ['role', 'a text, an enum, a uuid, a boolean, a number, a time, json, jsonb or text[]'],
  ])('%s of an unsuitable type: the type is cut, and put on one line', async (name, expected) => {
    const odd = { typeName: `point\nforged\u001b${'x'.repeat(1_000_000)}` }
    server.answerAboutTables(located({ [name]: odd }))
    server.answer(rows(columns, row()))
    const { code, message } = await rejectionOf(connect(options), cookie)
    expect(code).toBe(DATABASE)
    const [, shown, ends] = /^the database refused the query: (.+) is point forged x+, but (.+)$/.exec(message) ?? []
    expect([shown, ends]).toEqual([`users.${name}`, `the fresh claim must be ${expected}`])
    expect(message.length).toBeLessThan(800)
  })

  test("in a query for several sessions, one that can't be read is an error for that session only", async () => {
    const at = (place: number, values: Values = {}) => [...row(values), int32(place)]
    const reply = rows(
      [...columns, int4],
      ...[at(2), at(0, { limits: Buffer.from('{') }), at(1, { plan: Buffer.alloc(40_000, 'x') })],
    )
    expect(await outcomes(reply, options, rows(columns, row()))).toEqual([DATABASE, DATABASE, sessions[2]])
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
    expect(message).toMatch(/^the database refused the query: line forged: 200 OK {2}\[31mred/)
    expect(message.length).toBeLessThan(800)
    expect(message).not.toMatch(/\p{Cc}/u)
    await expectSession(bridge)
  })

  test('an SQLSTATE is cut to five characters', async () => {
    const error = errorResponse({ S: 'ERROR', C: `XX\n${'0'.repeat(1000)}`, M: 'wrong' })
    server.answer((socket) => socket.write(Buffer.concat([error, readyForQuery])))
    const { message } = await rejectionOf(connect(), cookie)
    expect(message).toBe('the database refused the query: wrong (SQLSTATE XX 00)')
  })

  test('the name of a type is cut, and put on one line', async () => {
    server.answer((socket) => {
      server.answer(endlessTypes(() => int4, `type\nforged${'x'.repeat(1000)}`))
      const columns = rowDescription([TYPES.unknown, bool, bool, bool, text])
      socket.write(Buffer.concat([accepted, columns, dataRow([int32(1), no, no, no, internal]), readyForQuery]))
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
    expect(message).toBe('the database refused the query: wrong (SQLSTATE 22P02)')
  })
})
