// Runs `npx authjs-bridge explain` as a child process.

import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import type { AuthBridgeOptions } from '../index.js'
import { MARKERS, run, runOnTerminal } from './support/command-line.js'
import { COOKIE_NAME, mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { HAS_TERMINAL } from './support/platform.js'
import { freePort } from './support/postgres.mjs'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const database = useDatabase()
const secret = MARKERS.secret
let live: string
let revoked: string
let sessionId: string

beforeAll(async () => {
  const user = await createUser(database.client, { email: MARKERS.email })
  const session = await createSession(database.client, user)
  const past = await createSession(database.client, user, { revoked_at: new Date('2026-01-02T03:04:05Z') })
  await database.client.query(
    `UPDATE sessions SET revoked_reason = E'lost\\x1b[2J\\u202ed' WHERE revoked_at IS NOT NULL`,
  )
  live = await mintCookie(claimsOf(user, session), { secret })
  revoked = await mintCookie(claimsOf(user, past), { secret })
  sessionId = session.session_id
})

const environment = () => ({ AUTH_SECRET: secret, DATABASE_URL: database.url })
const explain = (input: string, ...args: string[]) => run(['explain', ...args], { env: environment(), input })
const explainAsJson = async (input: string) => JSON.parse((await explain(input, '--json')).stdout)
const tokenOf = (cookie: string) => cookie.slice(COOKIE_NAME.length + 1)

describe('the result of explainSession', () => {
  test('as text: verdict, reason, details, advice', async () => {
    const { code, stdout, stderr } = await explain(revoked)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^unauthenticated: session-revoked, `revoked_at` is set$/m)
    expect(stdout).toMatch(/^ {2}revokedAt +"2026-01-02T03:04:05Z"$/m)
    expect(stdout).toMatch(/^what to do: sign in again$/m)
    expect(stdout).not.toContain(tokenOf(revoked))
    // Text that the app wrote into the row can't control the terminal.
    expect(stdout).toMatch(/^ {2}revokedReason +"lost\\u001b\[2J d"$/m)
  })

  test('as JSON, with the advice', async () => {
    expect(await explainAsJson(revoked)).toEqual({
      ...{ status: 'unauthenticated', reason: 'session-revoked', advice: 'sign in again' },
      ...{ revokedAt: '2026-01-02T03:04:05Z', revokedReason: 'lost\u001b[2J\u202ed' },
      cookie: { name: COOKIE_NAME, whole: true, chunks: [] },
      session: expect.objectContaining({ userType: 'internal' }),
    })
  })

  test.each<[string, (cookie: string) => string]>([
    ['the value', (cookie) => cookie],
    ['a line', (cookie) => `${cookie}\n`],
    ['a line that ends with CR LF', (cookie) => `${cookie}\r\n`],
    ['the whole header', (cookie) => `Cookie: ${cookie}\n`],
    ['the header of HTTP/2, among others', (cookie) => `cookie: theme=dark; ${cookie}`],
  ])('for %s', async (_, input) => {
    const { status, reason, session } = await explainAsJson(input(live))
    expect({ status, reason, id: session.sessionId }).toEqual({
      status: 'authenticated',
      reason: 'live',
      id: sessionId,
    })
  })

  test.each(['Cookie:\n', 'theme=dark'])('for %j, with no cookie of a session', async (input) => {
    expect(await explainAsJson(input)).toMatchObject({ status: 'unauthenticated', reason: 'no-cookie' })
  })

  test('in production, where the cookie has another name', async () => {
    const { stdout } = await explain(live, '--json', '--production')
    expect(JSON.parse(stdout)).toMatchObject({
      reason: 'no-cookie',
      nearMisses: [{ name: COOKIE_NAME, differs: ['prefix'] }],
    })
  })
})

describe('of tables and claims as an app has them, by AUTH_BRIDGE_OPTIONS', () => {
  const OPTIONS: AuthBridgeOptions = {
    ...{ tables: { sessions: 'auth.Session', users: 'auth.User' }, multiTenant: false, userCheck: 'exists' },
    ...{ extraClaims: ['role'], freshClaims: ['plan'] },
  }
  /** It would control the terminal, or turn the direction of what follows. */
  const ODD = 'a\u001b[2J\u202eb'
  const own = useDatabase((client) =>
    client.query(`
      CREATE SCHEMA auth;
      CREATE TABLE auth."User" (user_id int PRIMARY KEY, plan text);
      CREATE TABLE auth."Session" (session_id text PRIMARY KEY, user_id int, expires_at timestamptz, revoked_at timestamptz);
      INSERT INTO auth."User" VALUES (17, 'pro');
      INSERT INTO auth."Session" VALUES ('${ODD}', 17), ('orphan', 18);
      INSERT INTO auth."Session" VALUES ('revoked', 17, NULL, '2026-01-02 03:04:05Z');`),
  )
  const explainOwn = async (claims: object, ...args: string[]) => {
    const env = { AUTH_SECRET: secret, DATABASE_URL: own.url, AUTH_BRIDGE_OPTIONS: JSON.stringify(OPTIONS) }
    return run(['explain', ...args], { env, input: await mintCookie({ ...claims }, { secret }) })
  }

  test('a live session: ids of any form, no tenant, no type of user; claims by their names', async () => {
    const claims = { session_id: ODD, id: 17, email: MARKERS.email, role: MARKERS.password }
    const found = JSON.parse((await explainOwn(claims, '--json')).stdout)
    expect(found).toEqual({
      ...{ status: 'authenticated', reason: 'live', advice: 'nothing' },
      cookie: { name: COOKIE_NAME, whole: true, chunks: [] },
      session: { sessionId: ODD, userId: '17', tokenExpiresAt: expect.any(String) },
      ...{ extraClaims: ['role'], freshClaims: ['plan'] },
    })
    const { code, stdout } = await explainOwn(claims)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^ {2}session +\{"sessionId":"a\\u001b\[2J b","userId":"17","tokenExpiresAt":".*"\}$/m)
    expect(stdout).not.toMatch(/tenant|user_?type/i)
  })

  test.each<[string, object, string, object]>([
    ['an id that the column can’t hold', { session_id: 'orphan', id: 'ada' }, 'missing-claims', { claims: ['id'] }],
    ['no id', { session_id: 'orphan' }, 'missing-claims', { claims: ['id'] }],
    ['an unknown session', { session_id: 'x', sub: '17' }, 'session-unknown', { session: { sessionId: 'x' } }],
    ['another user', { session_id: 'orphan', id: 17 }, 'user-mismatch', { sessionUserId: '18' }],
    ['no such user', { session_id: 'orphan', id: 18 }, 'user-gone', { session: { userId: '18' } }],
    [
      'a revoked session of a table without reasons',
      { session_id: 'revoked', id: 17 },
      'session-revoked',
      { revokedAt: '2026-01-02T03:04:05Z', revokedReason: null },
    ],
  ])('%s', async (_, claims, reason, details) => {
    const { code, stdout } = await explainOwn(claims, '--json')
    expect({ code, ...JSON.parse(stdout) }).toMatchObject({ code: 0, status: 'unauthenticated', reason, ...details })
    expect(stdout).not.toMatch(/"(tenant|userType)"/)
  })

  test('the advice for missing claims says what ids must be', async () => {
    const { stdout } = await explainOwn({ session_id: 'orphan', id: 'ada' })
    expect(stdout).toMatch(/^unauthenticated: missing-claims, .*or is an id that its column can't hold/)
    expect(stdout).toMatch(/^ {2}missing +\["id"\]$/m)
    expect(stdout).toMatch(/^what to do: .*ids must be what the columns of the tables hold\./m)
  })
})

describe.runIf(HAS_TERMINAL)('on a terminal', () => {
  test('asks, shows nothing of what is typed, and ends with the line', async () => {
    const { code, output } = await runOnTerminal(['explain'], { env: environment() }, `${live}\r`)
    expect(output).toMatch(/^Paste the Cookie header \(it is not shown\): \n/)
    expect(output).toMatch(/authenticated.*: live, the session is live\n/)
    expect(output).not.toContain(tokenOf(live).slice(0, 20))
    expect(code).toBe(0)
  })

  test('reads a line of over 4096 bytes, the limit of a terminal in line mode', async () => {
    const header = `filler=${'x'.repeat(20_000)}; ${live}`
    const { output } = await runOnTerminal(['explain', '--json'], { env: environment() }, `${header}\r`)
    expect(output).toContain('"reason": "live"')
  })

  test('ends on Ctrl+C', async () => {
    const { code, output } = await runOnTerminal(['explain'], { env: environment() }, '\u0003')
    expect({ code, output: output.trim() }).toEqual({ code: 130, output: 'Paste the Cookie header (it is not shown):' })
  })
})

describe('without a result', () => {
  test('because the database can’t be reached', async () => {
    const env = {
      AUTH_SECRET: secret,
      DATABASE_URL: `postgres://u:${MARKERS.password}@127.0.0.1:${await freePort()}/d`,
    }
    const { code, stdout } = await run(['explain'], { env, input: live })
    expect(stdout).toMatch(/^unavailable: database-unavailable, /)
    expect(stdout).toMatch(/^ {2}code +"ERR_AUTH_BRIDGE_DATABASE"$/m)
    expect(stdout).toContain('npx authjs-bridge doctor')
    expect(code).toBe(1)
  })

  test('because there is no secret', async () => {
    const surroundings = { env: { DATABASE_URL: database.url }, input: live }
    const { code, stdout, stderr } = await run(['explain'], surroundings)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^authjs-bridge: secret: is missing; set the environment variable AUTH_SECRET.*\n$/)
    const asJson = await run(['explain', '--json'], surroundings)
    expect({ code: asJson.code, stderr: asJson.stderr }).toEqual({ code: 1, stderr: '' })
    const error = { code: 'ERR_AUTH_BRIDGE_CONFIG', message: expect.stringMatching(/^secret: is missing/) }
    expect(JSON.parse(asJson.stdout)).toEqual({ error })
  })
})

describe('a wrong command line', () => {
  const MISPLACED = `${COOKIE_NAME}=${MARKERS.password}`

  test.each<[string, string[], RegExp]>([
    ['a cookie among the arguments', ['explain', MISPLACED], /reads the cookie from standard input.*history/],
    ['a cookie in place of an option', ['explain', `--${MISPLACED}`], /unknown option/],
    ['a cookie in place of a command', [MISPLACED], /unknown command/],
    ['an argument', ['doctor', MISPLACED], /doctor takes no arguments/],
    ['an unknown option', ['doctor', '--jsn'], /unknown option; the options are --json/],
    ['a name that every object has', ['constructor'], /unknown command/],
    ['nothing', [], /the command is missing/],
  ])('%s', async (_, args, message) => {
    const { code, stdout, stderr } = await run(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
    expect(stderr).not.toContain('    at ')
  })

  test.each([
    ['more than one line', () => `Cookie: ${live}\nHost: localhost\n`, /more than one line/],
    ['an empty line', () => '\n', /standard input is empty/],
    ['a token alone', () => `${tokenOf(live)}\n`, /has no name=value/],
    ['a curl command', () => `curl 'http://localhost/' \\\n  -b '${live}'\n`, /is a curl command/],
  ])('%s', async (_, input, message) => {
    const { code, stderr } = await explain(input())
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(message) })
  })
})

describe('help', () => {
  test.each([
    [['--help'], [/doctor/, /explain/, /--version/]],
    [
      ['doctor', '--help'],
      [/--json/, /--production/, /0 if no check failed, 1 .* 2 /, /NO_COLOR/],
    ],
    [
      ['explain', '-h'],
      [/standard input/, /--json/, /--production/, /Exit code: 0/],
    ],
  ])('%s', async (args, parts) => {
    const { code, stdout, stderr } = await run(args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^Usage: npx authjs-bridge/)
    for (const part of parts) expect(stdout).toMatch(part)
  })

  test('--version', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
    expect((await run(['--version'])).stdout).toBe(`${version}\n`)
  })
})
