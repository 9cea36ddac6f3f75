// Runs `npx authjs-bridge sessions`, `revoke` and `prune` as child processes.

import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { MARKERS, type RunOptions, run, runOnTerminal } from './support/command-line.js'
import { useDatabase } from './support/database.js'
import { HAS_TERMINAL } from './support/platform.js'
import { freePort } from './support/postgres.mjs'
import { createSession, createUser } from './support/tenants.mjs'

const DAY = 86_400_000
const database = useDatabase()
const environment = (url = database.url, options: object = {}) => ({
  ...{ AUTH_SECRET: MARKERS.secret, DATABASE_URL: url },
  ...(Object.keys(options).length > 0 && { AUTH_BRIDGE_OPTIONS: JSON.stringify(options) }),
})
/** How the commands name the database, without the user and the password. */
const where = ({ url } = database) => `in the database ${new URL(url).pathname.slice(1)} at ${new URL(url).host}`
const call = (args: string[], options: RunOptions = {}) => run(args, { env: environment(), ...options })

let user: Awaited<ReturnType<typeof createUser>>
let tenant: string
let of: string[]
beforeEach(async () => {
  user = await createUser(database.client)
  tenant = user.tenant
  of = ['--tenant', tenant, '--user', user.user_id]
})

/** Inserts a session; its id. */
async function start(columns: Record<string, unknown> = {}, owner = user) {
  const { tenant, user_id } = owner
  const row: Record<string, unknown> = { tenant, user_id, session_id: randomUUID(), ...columns }
  const names = Object.keys(row)
  const places = names.map((_, index) => `$${index + 1}`)
  await database.client.query(`INSERT INTO sessions (${names}) VALUES (${places})`, Object.values(row))
  return row.session_id as string
}
/** The sessions of the tenant that are not revoked. */
async function live() {
  const sql = 'SELECT session_id FROM sessions WHERE tenant = $1 AND revoked_at IS NULL'
  return (await database.client.query(sql, [tenant])).rows.map(({ session_id }) => session_id).toSorted()
}
const reasons = async () =>
  (await database.client.query('SELECT revoked_reason FROM sessions WHERE tenant = $1', [tenant])).rows.map(
    ({ revoked_reason }) => revoked_reason,
  )
const daysAgo = (days: number) => new Date(Date.now() - days * DAY)

describe('sessions', () => {
  test('are a table, the latest activity first, with times in UTC', async () => {
    const login = { login_method: 'google', ip_address: '192.0.2.7', device_name: 'Chrome on macOS' }
    const first = await start({
      ...login,
      last_activity_at: '2026-01-02T03:04:05Z',
      expires_at: '2096-01-02T03:04:05.5Z',
    })
    const second = await start({ user_agent: 'x'.repeat(100), created_at: '2026-01-01T00:00:00Z' })
    await start({ revoked_at: daysAgo(1) })
    const { code, stdout, stderr } = await call(['sessions', ...of], { env: { ...environment(), TZ: 'Asia/Tokyo' } })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const id = ' '.repeat(first.length - 'SESSION'.length)
    const agent = `${'x'.repeat(37)}...`
    expect(stdout.split('\n')).toEqual([
      `SESSION${id}  LAST ACTIVITY         DEVICE                                    LOGIN METHOD  ADDRESS    ENDS`,
      `${first}  2026-01-02T03:04:05Z  ${'Chrome on macOS'.padEnd(40)}  google        192.0.2.7  2096-01-02T03:04:05Z`,
      `${second}  2026-01-01T00:00:00Z  ${agent}  -             -          never`,
      '',
      `2 live sessions ${where()}`,
      '',
    ])
  })

  test('are as listSessions returns them, with --json', async () => {
    const session = await start({ login_method: 'google', expires_at: '2096-01-02T03:04:05Z' })
    const { code, stdout, stderr } = await call(['sessions', ...of, '--json'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual({
      sessions: [
        {
          ...{ sessionId: session, loginMethod: 'google', ipAddress: null, userAgent: null, deviceName: null },
          ...{ deviceType: null, createdAt: expect.any(String), lastActivityAt: null },
          expiresAt: '2096-01-02T03:04:05.000Z',
        },
      ],
    })
  })

  test.each([
    ['as a table', [], () => `no live sessions ${where()}\n`],
    ['as JSON', ['--json'], () => '{\n  "sessions": []\n}\n'],
  ])('may be none, %s', async (_, args, expected) => {
    expect(await call(['sessions', ...of, ...args])).toEqual({ code: 0, stdout: expected(), stderr: '' })
    expect((await call(['sessions', '--tenant', 'x', '--user', 'y', ...args])).stdout).toBe(expected())
  })

  test('that are more than a list holds: says so', async () => {
    await database.client.query(
      'INSERT INTO sessions (tenant, session_id, user_id) SELECT $1, gen_random_uuid(), $2 FROM generate_series(1, 1001)',
      [tenant, user.user_id],
    )
    const { stdout } = await call(['sessions', ...of])
    expect(stdout.endsWith(`\n1000 live sessions ${where()}; there may be more\n`)).toBe(true)
  })

  const EVIL = '\u001b[2J\u0007a\nb\u009b31m\u202ec\u2028'
  test.each([
    ['as a table', []],
    ['as JSON', ['--json']],
  ])('hold nothing that controls the terminal, %s', async (_, args) => {
    await start({ device_name: EVIL, login_method: EVIL, ip_address: EVIL })
    const { stdout } = await call(['sessions', ...of, ...args])
    expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u)
    if (args.length > 0) expect(JSON.parse(stdout).sessions[0]).toMatchObject({ deviceName: EVIL, ipAddress: EVIL })
    else expect(stdout.split('\n')).toHaveLength(5)
  })
})

describe('revoke', () => {
  test('one session of the user, once', async () => {
    const [ended, kept] = [await start(), await start()] as const
    const args = ['revoke', ...of, '--session', ended, '--reason', 'lost']
    expect(await call(args)).toEqual({ code: 0, stdout: `ended 1 session ${where()}\n`, stderr: '' })
    expect(await live()).toEqual([kept])
    expect((await reasons()).toSorted()).toEqual(['lost', null])
    const none = `ended no sessions ${where()}: it has ended, does not exist, or is another user's\n`
    expect(await call(args)).toEqual({ code: 0, stdout: none, stderr: '' })
    const other = ['--tenant', tenant, '--user', randomUUID(), '--session', kept]
    expect(JSON.parse((await call(['revoke', ...other, '--json'])).stdout)).toEqual({ revoked: 0 })
    expect(await live()).toEqual([kept])
  })

  test('one session, whosever it is', async () => {
    const [ended, kept] = [await start(), await start()] as const
    const args = ['revoke', '--tenant', tenant, '--session', ended, '--any-user']
    expect((await call([...args, '--json'])).stdout).toBe('{\n  "revoked": 1\n}\n')
    expect(await live()).toEqual([kept])
    expect((await call(args)).stdout).toBe(`ended no sessions ${where()}: it has ended, or does not exist\n`)
  })

  test('all of the user', async () => {
    const other = await createUser(database.client, { tenant })
    const kept = await start({}, other)
    await start()
    await start()
    const { code, stdout } = await call(['revoke', ...of, '--yes', '--reason=-left-'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: `ended 2 sessions ${where()}\n` })
    expect(await live()).toEqual([kept])
    expect((await reasons()).filter(Boolean)).toEqual(['-left-', '-left-'])
  })

  test('all of the tenant, and of no other', async () => {
    const elsewhere = await createUser(database.client)
    const kept = await start({}, elsewhere)
    for (const owner of [user, await createUser(database.client, { tenant })]) await start({}, owner)
    const args = ['revoke', '--tenant', tenant, '--all-of-tenant', '--yes', '--json']
    expect(JSON.parse((await call(args)).stdout)).toEqual({ revoked: 2 })
    expect(JSON.parse((await call(args)).stdout)).toEqual({ revoked: 0 })
    const { rows } = await database.client.query('SELECT revoked_at FROM sessions WHERE session_id = $1', [kept])
    expect(rows).toEqual([{ revoked_at: null }])
  })

  test.each([
    ['all of the user', () => of],
    ['all of the tenant', () => ['--tenant', tenant, '--all-of-tenant']],
  ])('%s, without a terminal and --yes, is refused', async (_, args) => {
    const sessions = [await start(), await start()].toSorted()
    const { code, stdout, stderr } = await call(['revoke', ...args()], { input: 'y\n' })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toBe('authjs-bridge: this may end several sessions, and there is no terminal to ask on: say --yes\n')
    expect(await live()).toEqual(sessions)
  })
})

describe.runIf(HAS_TERMINAL)('revoke on a terminal', () => {
  const ask = (args: string[], answer: string) => runOnTerminal(['revoke', ...args], { env: environment() }, answer)

  test.each<[string, string, number, RegExp]>([
    ['y', 'y\r', 0, /\nended 2 sessions in the database .*\n$/],
    ['Yes', 'Yes\r', 0, /\nended 2 sessions in the database .*\n$/],
    ['nothing', '\r', 1, /\nnothing was ended\n$/],
    ['no', 'no\r', 1, /\nnothing was ended\n$/],
    ['yesterday', 'yesterday\r', 1, /\nnothing was ended\n$/],
    ['the end of the input', '\u0004', 1, /\nnothing was ended\n$/],
    ['Ctrl+C', '\u0003', 130, /\(y\/N\): /],
  ])('asks before all of a user end, and is answered %s', async (_, answer, expected, end) => {
    const sessions = [await start(), await start()].toSorted()
    const { code, output } = await ask(of, answer)
    expect(output).toContain(`End all 2 sessions of the user ${user.user_id} ${where()}? (y/N): `)
    expect(output).toMatch(end)
    expect(code).toBe(expected)
    expect(await live()).toEqual(expected === 0 ? [] : sessions)
  })

  test.each([
    [0, 'no sessions', ': none of this user is live; --user takes the id, as the column user_id has it'],
    [1, '1 session', ''],
  ])('does not ask where the user has %i', async (count, ended, why) => {
    if (count > 0) await start()
    expect(await ask(of, '')).toMatchObject({ code: 0, output: `ended ${ended} ${where()}${why}\n` })
  })

  test('asks before all of a tenant end, or does as --yes says', async () => {
    await start()
    const args = ['--tenant', tenant, '--all-of-tenant']
    const refused = await ask(args, 'n\r')
    expect(refused.output).toContain(`End all sessions of the tenant ${tenant} ${where()}? (y/N): `)
    expect({ code: refused.code, live: (await live()).length }).toEqual({ code: 1, live: 1 })
    expect(await ask([...args, '--yes'], '')).toEqual({ code: 0, output: `ended 1 session ${where()}\n` })
  })

  test.each<[string, 'UPDATE' | 'DELETE', (tenant: string) => string[], string, RegExp]>([
    [
      'ended',
      'UPDATE',
      (id) => ['revoke', '--tenant', id, '--all-of-tenant', '--yes'],
      'revoked',
      /ended 4000 sessions in the database .*\n$/,
    ],
    [
      'deleted',
      'DELETE',
      () => ['prune', '--before', '30d'],
      'deleted',
      /deleted \d+ sessions that ended before .*\n$/,
    ],
  ])('shows how many were %s so far', async (_, event, args, verb, end) => {
    // Each of the transactions takes a while.
    await database.client.query(`
      CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END $$;
      CREATE TRIGGER slow AFTER ${event} ON sessions FOR EACH STATEMENT EXECUTE FUNCTION slow()`)
    onTestFinished(async () => void (await database.client.query('DROP FUNCTION slow CASCADE')))
    await database.client.query(
      `INSERT INTO sessions (tenant, session_id, user_id, expires_at)
       SELECT $1, gen_random_uuid(), $2, $3 FROM generate_series(1, 4000)`,
      [tenant, user.user_id, event === 'DELETE' ? daysAgo(90) : null],
    )
    const { code, output } = await runOnTerminal(args(tenant), { env: environment() })
    const shown = [...output.matchAll(new RegExp(`\\r(\\d+) ${verb} so far`, 'g'))].map(([, count]) => Number(count))
    expect(shown.length).toBeGreaterThan(1)
    expect(shown).toEqual(shown.toSorted((a, b) => a - b))
    expect(shown.some((count) => count > 0 && count < 4000)).toBe(true)
    expect(output).toMatch(end)
    expect(code).toBe(0)
  })
})

describe('prune', () => {
  const ended = async () => {
    const sessions: string[] = []
    for (const columns of [
      ...[{ expires_at: daysAgo(40) }, { revoked_at: daysAgo(40) }],
      ...[{ expires_at: daysAgo(20) }, { revoked_at: daysAgo(20) }],
      ...[{}, { expires_at: daysAgo(-20) }],
    ]) {
      sessions.push(await start(columns))
    }
    return sessions
  }
  const left = async (sessions: string[]) => {
    const sql = 'SELECT session_id FROM sessions WHERE tenant = $1'
    const { rows } = await database.client.query(sql, [tenant])
    return sessions.map((session) => rows.some(({ session_id }) => session_id === session))
  }
  beforeEach(() => database.client.query('TRUNCATE sessions'))

  test.each<[string, () => string[], number, boolean[]]>([
    ['30 days ago', () => ['30d'], 2, [false, false, true, true, true, true]],
    ['a day', () => [daysAgo(30).toISOString().slice(0, 10)], 2, [false, false, true, true, true, true]],
    ['a time', () => [daysAgo(10).toISOString()], 4, [false, false, false, false, true, true]],
    ['now', () => ['0d'], 4, [false, false, false, false, true, true]],
    ['long ago', () => ['9999d'], 0, [true, true, true, true, true, true]],
  ])('deletes what ended before %s', async (_, before, count, expected) => {
    const sessions = await ended()
    const { code, stdout, stderr } = await call(['prune', '--before', ...before()])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(
      new RegExp(`^deleted ${count || 'no'} sessions that ended before \\d{4}-\\d\\d-\\d\\dT.*Z\\n$`),
    )
    expect(await left(sessions)).toEqual(expected)
  })

  test('no more than the limit, as JSON', async () => {
    const sessions = await ended()
    const { code, stdout } = await call(['prune', '--before=2026-01-31T12:00:00+02:00', '--limit', '1', '--json'])
    expect({ code, ...JSON.parse(stdout) }).toEqual({ code: 0, deleted: 0, before: '2026-01-31T10:00:00.000Z' })
    expect(JSON.parse((await call(['prune', '--before', '1d', '--limit', '3', '--json'])).stdout)).toMatchObject({
      deleted: 3,
    })
    expect((await left(sessions)).filter(Boolean)).toHaveLength(3)
  })
})

describe('a wrong command line', () => {
  const SECRET_VALUE = MARKERS.password
  test.each<[string, string[], RegExp]>([
    ['no user', ['sessions', '--tenant', 't'], /--user is missing: whose sessions$/],
    ['no tenant', ['sessions', '--user', 'u'], /--tenant is missing; only with the option multiTenant: false/],
    ['no tenant to revoke in', ['revoke', '--user', 'u', '--yes'], /--tenant is missing/],
    ['no tenant for a session', ['revoke', '--session', 's', '--any-user'], /--tenant is missing/],
    ['an empty tenant', ['sessions', '--tenant', '', '--user', 'u'], /--tenant is empty$/],
    ['an option twice', ['revoke', '--session', 'a', '--session', 'b'], /--session is given twice$/],
    [
      'an unknown option',
      ['revoke', `--${SECRET_VALUE}`],
      /unknown option, or one without a value; the options are --tenant/,
    ],
    ['an option without a value', ['sessions', '--tenant', '--user', 'u'], /begins with - is given as --user=VALUE$/],
    ['an argument', ['revoke', SECRET_VALUE], /revoke takes no arguments/],
    ['nothing to revoke', ['revoke', '--tenant', 't'], /say what to end: --session, --user or --all-of-tenant$/],
    [
      'a session of nobody',
      ['revoke', '--tenant', 't', '--session', 's'],
      /--session needs --user.*--any-user instead$/,
    ],
    ['any user without a session', ['revoke', '--tenant', 't', '--any-user'], /--any-user needs --session$/],
    [
      'a user and any',
      ['revoke', '--tenant', 't', '--session', 's', '--user', 'u', '--any-user'],
      /--any-user can't be given with --user$/,
    ],
    [
      'a tenant and a user',
      ['revoke', '--tenant', 't', '--all-of-tenant', '--user', 'u', '--yes'],
      /--all-of-tenant can't be given with --session, --user or --any-user$/,
    ],
    ['all of no tenant', ['revoke', '--all-of-tenant', '--yes'], /--all-of-tenant needs --tenant$/],
    ['no time', ['prune'], /--before is missing/],
    ['a word', ['prune', '--before', 'yesterday'], /--before must be a number of days ago/],
    ['a negative number of days', ['prune', '--before=-1d'], /--before must be a number of days ago/],
    ['a day that there is not', ['prune', '--before', '2026-02-30'], /--before must be a number of days ago/],
    ['a time without a zone', ['prune', '--before', '2026-01-31T12:00:00'], /--before must be a number of days ago/],
    ['a time in the future', ['prune', '--before', '2096-01-01'], /in the future: live sessions would be deleted$/],
    ['a limit of 0', ['prune', '--before', '1d', '--limit', '0'], /--limit must be a whole number from 1 on$/],
    ['a limit that is no number', ['prune', '--before', '1d', '--limit', 'all'], /--limit must be a whole number/],
  ])('%s', async (_, args, message) => {
    for (const json of [[], ['--json']]) {
      const { code, stdout, stderr } = await call([...args, ...json])
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
      expect(stderr.trimEnd()).toMatch(message)
      expect(stderr).toMatch(/^authjs-bridge: [^\n]*\n$/)
    }
  })

  test.each(['sessions', 'revoke', 'prune'])('%s --help', async (command) => {
    const { code, stdout, stderr } = await call([command, '--help'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(new RegExp(`^Usage: npx authjs-bridge ${command} --.*`))
    for (const part of [/--json/, /--production/, /Exit code: 0/]) expect(stdout).toMatch(part)
  })
})

describe('an app without tenants', () => {
  const OPTIONS = { multiTenant: false, userCheck: 'none', tables: { sessions: 'logins' } }
  const own = useDatabase((client) =>
    client.query(`
      CREATE TABLE logins (session_id text PRIMARY KEY, user_id int, expires_at timestamptz, revoked_at timestamptz);
      INSERT INTO logins VALUES ('a', 7, NULL), ('b', 7, NULL), ('c', 8, NULL), ('old', 8, '2026-01-01')`),
  )
  const callOwn = (...args: string[]) => call(args, { env: environment(own.url, OPTIONS) })

  test('has no --tenant', async () => {
    const { stdout } = await callOwn('sessions', '--user', '7')
    expect(stdout).toMatch(/^SESSION +LAST ACTIVITY +DEVICE +LOGIN METHOD +ADDRESS +ENDS\na +- +- +- +- +never\nb /)
    expect((await callOwn('revoke', '--user', '7', '--session', 'a')).stdout).toBe(`ended 1 session ${where(own)}\n`)
    expect((await callOwn('revoke', '--user', '7', '--yes')).stdout).toBe(`ended 1 session ${where(own)}\n`)
    expect((await callOwn('prune', '--before', '2026-01-02')).stdout).toMatch(/^deleted 1 session that ended/)
    const { rows } = await own.client.query('SELECT session_id FROM logins WHERE revoked_at IS NULL')
    expect(rows).toEqual([{ session_id: 'c' }])
  })

  test.each([
    ['sessions', ['sessions', '--user', '7']],
    ['revoke of a user', ['revoke', '--user', '7', '--yes']],
    ['revoke of a session', ['revoke', '--session', 'c', '--any-user']],
    ['revoke of a tenant', ['revoke', '--all-of-tenant', '--yes']],
  ])('%s: with --tenant, it says so', async (_, args) => {
    expect(await callOwn(...args, '--tenant', 't')).toEqual({
      ...{ code: 2, stdout: '' },
      stderr: 'authjs-bridge: the option multiTenant is false, so there are no tenants: leave out --tenant\n',
    })
  })

  test('a reason without a column for it is a wrong option', async () => {
    const { code, stderr } = await callOwn('revoke', '--user', '8', '--session', 'c', '--reason', 'x')
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/^authjs-bridge: --reason: needs the column/),
    })
  })
})

describe('row-level security', () => {
  const ADMIT = 'USING (true)'
  const NONE = `USING (current_setting('app.tenant', true) IS NOT NULL)`
  /** The commands by the privilege and the policy that each needs. */
  const COMMANDS: Record<string, () => string[]> = {
    sessions: () => ['sessions', ...of],
    'revoke of a user': () => ['revoke', ...of, '--yes'],
    'revoke of a session': () => ['revoke', ...of, '--session', randomUUID()],
    'revoke of a tenant': () => ['revoke', '--tenant', tenant, '--all-of-tenant', '--yes'],
    prune: () => ['prune', '--before', '30d'],
  }
  const WRITES = Object.keys(COMMANDS).slice(1)
  const secured = useDatabase()
  const role = `secured_${randomUUID().replaceAll('-', '')}`
  const env = () =>
    environment(Object.assign(new URL(secured.url), { username: role, password: MARKERS.password }).href)

  beforeAll(async () => {
    await secured.client.query(`
      CREATE ROLE ${role} LOGIN PASSWORD '${MARKERS.password}';
      GRANT SELECT, UPDATE, DELETE ON sessions TO ${role};
      GRANT SELECT ON users TO ${role};
      ALTER TABLE sessions ENABLE ROW LEVEL SECURITY`)
  })

  /** Replaces the policies, and starts a session that lives and one that ended long ago. */
  async function limit(policies: Record<string, string>) {
    const { rows } = await secured.client.query(`SELECT policyname FROM pg_policies WHERE tablename = 'sessions'`)
    for (const { policyname } of rows) await secured.client.query(`DROP POLICY ${policyname} ON sessions`)
    for (const [command, clause] of Object.entries(policies)) {
      await secured.client.query(`CREATE POLICY of_${command} ON sessions FOR ${command} ${clause}`)
    }
    user = await createUser(secured.client)
    tenant = user.tenant
    of = ['--tenant', tenant, '--user', user.user_id]
    await createSession(secured.client, user)
    await createSession(secured.client, user, { expires_at: daysAgo(90) })
  }

  const all = { SELECT: ADMIT, UPDATE: ADMIT, DELETE: ADMIT }
  test.each<[string, Record<string, string>, string[]]>([
    ['without a policy', {}, Object.keys(COMMANDS)],
    ['that hides the rows', { ...all, SELECT: NONE }, Object.keys(COMMANDS)],
    ['that allows no UPDATE', { SELECT: ADMIT, DELETE: ADMIT }, WRITES.slice(0, -1)],
    ['that allows no DELETE', { SELECT: ADMIT, UPDATE: ADMIT }, ['prune']],
    ['that hides nothing', all, []],
  ])('%s: what finds nothing because of it fails', async (_, policies, failing) => {
    for (const [name, args] of Object.entries(COMMANDS)) {
      await limit(policies)
      const isFailing = failing.includes(name)
      const { code, stdout, stderr } = await call(args(), { env: env() })
      expect({ name, code, isSilent: stdout === '' }).toEqual({ name, code: isFailing ? 1 : 0, isSilent: isFailing })
      expect(stderr).toMatch(
        isFailing
          ? new RegExp(`^authjs-bridge: .*row-level security .* ${role} .*npx authjs-bridge doctor.*\\n$`)
          : /^$/,
      )
      if (!isFailing) continue
      const asJson = await call([...args(), '--json'], { env: env() })
      expect({ code: asJson.code, stderr: asJson.stderr }).toEqual({ code: 1, stderr: '' })
      expect(JSON.parse(asJson.stdout)).toEqual({
        error: { code: 'ERR_AUTH_BRIDGE_DATABASE', message: stderr.slice('authjs-bridge: '.length).trimEnd() },
      })
      const { rows } = await secured.client.query('SELECT revoked_at FROM sessions WHERE tenant = $1', [tenant])
      expect(rows).toEqual([{ revoked_at: null }, { revoked_at: null }])
    }
  })
})

test('the .env files of the folder count', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-sessions-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const variables = Object.entries(environment()).map(([name, value]) => `${name}='${value}'\n`)
  await writeFile(join(folder, '.env.local'), variables.join(''))
  const session = await start()
  const { stdout } = await run(['sessions', ...of, '--json'], { cwd: folder })
  expect(JSON.parse(stdout).sessions).toMatchObject([{ sessionId: session }])
})

describe('without an answer', () => {
  const COMMANDS: [string, () => string[]][] = [
    ['sessions', () => ['sessions', ...of]],
    ['revoke', () => ['revoke', ...of, '--yes']],
    ['prune', () => ['prune', '--before', '30d']],
  ]

  test.each(COMMANDS)('%s: the database can’t be reached', async (_, args) => {
    const env = environment(`postgres://u:${MARKERS.password}@127.0.0.1:${await freePort()}/d`)
    const { code, stdout, stderr } = await call(args(), { env })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^authjs-bridge: cannot connect to the database.*\n$/)
    const asJson = await call([...args(), '--json'], { env })
    expect({ code: asJson.code, stderr: asJson.stderr }).toEqual({ code: 1, stderr: '' })
    expect(JSON.parse(asJson.stdout)).toEqual({
      error: { code: 'ERR_AUTH_BRIDGE_DATABASE', message: expect.stringMatching(/^cannot connect/) },
    })
  })

  test.each(COMMANDS)('%s: the configuration is wrong', async (_, args) => {
    const { code, stdout } = await call([...args(), '--json'], { env: { DATABASE_URL: database.url } })
    expect({ code, error: JSON.parse(stdout).error }).toMatchObject({
      code: 1,
      error: { code: 'ERR_AUTH_BRIDGE_CONFIG', message: expect.stringMatching(/^secret: is missing/) },
    })
  })

  test('as a role that only reads: nothing changes', async () => {
    const session = await start()
    const reader = `reader_${randomUUID().replaceAll('-', '')}`
    await database.client.query(`CREATE ROLE ${reader} LOGIN PASSWORD '${MARKERS.password}'`)
    await database.client.query(`GRANT SELECT ON sessions, users TO ${reader}`)
    const url = Object.assign(new URL(database.url), { username: reader, password: MARKERS.password }).href
    const env = environment(url)
    const listed = await call(['sessions', ...of, '--json'], { env })
    expect(JSON.parse(listed.stdout).sessions).toHaveLength(1)
    await start({ expires_at: daysAgo(90) })
    for (const [, args] of COMMANDS.slice(1)) {
      const { code, stdout, stderr } = await call(args(), { env })
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toMatch(
        /permission denied for table sessions \(SQLSTATE 42501\); the role needs the right to SELECT and (UPDATE|DELETE), /,
      )
    }
    expect(await live()).toContain(session)
  })

  test('of a database that takes no writes', async () => {
    await start()
    const { code, stdout } = await call(['revoke', ...of, '--yes', '--json'], {
      env: environment(`${database.url}?options=-c%20default_transaction_read_only%3Don`),
    })
    expect({ code, error: JSON.parse(stdout).error.code }).toEqual({ code: 1, error: 'ERR_AUTH_BRIDGE_READ_ONLY' })
  })

  test('after some were ended: says how many', async () => {
    await database.client.query(`
      CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no more'; END $$;
      CREATE TRIGGER fails BEFORE UPDATE ON sessions FOR EACH ROW WHEN (OLD.session_id > 'ffffffff-0000-0000-0000-000000000000')
        EXECUTE FUNCTION fails()`)
    onTestFinished(async () => void (await database.client.query('DROP FUNCTION fails CASCADE')))
    await database.client.query(
      `INSERT INTO sessions (tenant, session_id, user_id)
       SELECT $1, gen_random_uuid(), $2 FROM generate_series(1, 1500)`,
      [tenant, user.user_id],
    )
    await start({ session_id: 'ffffffff-ffff-4fff-bfff-ffffffffffff' })
    await database.client.query(
      `DELETE FROM sessions WHERE session_id BETWEEN 'ffffffff-0000-0000-0000-000000000000' AND 'ffffffff-ffff-4fff-bfff-fffffffffffe'`,
    )
    const { code, stderr } = await call(['revoke', '--tenant', tenant, '--all-of-tenant', '--yes'])
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/no more.*; 1000 revoked so far\n$/) })
    expect(await live()).toHaveLength(501)
  })
})
