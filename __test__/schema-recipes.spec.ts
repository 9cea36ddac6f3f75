// The SQL of `npx authjs-bridge schema`, in databases that the real tools have made.

import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { AuthConfig } from '@auth/core'
import type { Adapter } from '@auth/core/adapters'
import { DrizzleAdapter } from '@auth/drizzle-adapter'
import PostgresAdapter from '@auth/pg-adapter'
import { drizzle } from 'drizzle-orm/node-postgres'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { withSessions } from '../next-auth/index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { diagnose, MARKERS, run } from './support/command-line.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { browse } from './support/documented-app.js'
import { codeBlocks } from './support/pages.js'
import { inCode } from './support/platform.js'

const MOVING = 'docs/moving-from-authjs.md'
const root = fileURLToPath(new URL('..', import.meta.url))
const require = createRequire(import.meta.url)
const makeBridge = useBridges()

type Database = ReturnType<typeof useDatabase>
type User = { id: string | number; email: string }
type Users = Required<Pick<Adapter, 'createUser' | 'deleteUser' | 'getUserByEmail'>>

interface Tool {
  makeTables(database: Database, sql: string): Promise<unknown>
  users(pool: pg.Pool): Users
  /** The index of its table of users. */
  key: string
}

const TOOLS: Record<string, Tool> = {
  prisma: { makeTables: ({ client }) => client.query(OF_PRISMA), users: prismaUsers, key: 'User by User_pkey' },
  drizzle: {
    makeTables: ({ url }, sql) => push(url, sql),
    users: (pool) => DrizzleAdapter(drizzle(pool)) as Users,
    key: 'user by user_pkey',
  },
  'auth-adapter': {
    makeTables: ({ client }) => client.query(OF_PG_ADAPTER),
    users: (pool) => PostgresAdapter(pool) as Users,
    key: 'users by users_pkey',
  },
}

/** What `prisma migrate` writes for the models of Auth.js. */
const OF_PRISMA = `
  CREATE TABLE "User" (
    "id" TEXT NOT NULL,
    "name" TEXT,
    "email" TEXT NOT NULL,
    "emailVerified" TIMESTAMP(3),
    "image" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,
    CONSTRAINT "User_pkey" PRIMARY KEY ("id")
  );
  CREATE TABLE "Session" (
    "sessionToken" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "expires" TIMESTAMP(3) NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL
  );
  CREATE UNIQUE INDEX "User_email_key" ON "User"("email");
  CREATE UNIQUE INDEX "Session_sessionToken_key" ON "Session"("sessionToken");
  ALTER TABLE "Session" ADD CONSTRAINT "Session_userId_fkey"
    FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;`

/** The tables that the documentation of the adapter tells to create, but that of e-mail tokens. */
const OF_PG_ADAPTER = `
  CREATE TABLE users (
    id serial, name varchar(255), email varchar(255), "emailVerified" timestamptz, image text, PRIMARY KEY (id)
  );
  CREATE TABLE accounts (
    id serial, "userId" integer NOT NULL, type varchar(255) NOT NULL, provider varchar(255) NOT NULL,
    "providerAccountId" varchar(255) NOT NULL, refresh_token text, access_token text, expires_at bigint, id_token text,
    scope text, session_state text, token_type text, PRIMARY KEY (id)
  );
  CREATE TABLE sessions (
    id serial, "userId" integer NOT NULL, expires timestamptz NOT NULL, "sessionToken" varchar(255) NOT NULL,
    PRIMARY KEY (id)
  );`

/** In place of a generated Prisma client: the rows that it writes. */
function prismaUsers(pool: pg.Pool): Users {
  return {
    createUser: async ({ name, email }) => {
      const { rows } = await pool.query(
        `INSERT INTO "User" ("id", "name", "email", "updatedAt") VALUES ($1, $2, $3, now()) RETURNING *`,
        [`c${randomUUID().replaceAll('-', '').slice(8)}`, name, email],
      )
      return rows[0]
    },
    deleteUser: async (id) => void (await pool.query('DELETE FROM "User" WHERE "id" = $1', [id])),
    getUserByEmail: async () => null,
  }
}

/** The tables of the adapter, as it defines them itself, and `columns` of the app. */
const drizzleSchema = (columns: string) => `
  import { pgTable, text, timestamp } from 'drizzle-orm/pg-core'
  import { defineTables } from '${inCode(join(dirname(require.resolve('@auth/drizzle-adapter')), 'lib', 'pg.js'))}'
  const usersTable = pgTable('user', {
    id: text('id').primaryKey(),
    name: text('name'),
    email: text('email').unique(),
    emailVerified: timestamp('emailVerified', { mode: 'date' }),
    image: text('image'),
    ${columns}
  })
  export const { accountsTable, sessionsTable, verificationTokensTable, authenticatorsTable } = defineTables({ usersTable })
  export { usersTable }`

/** Runs `drizzle-kit push`, with what `sql` says that must be in its configuration. */
async function push(url: string, sql: string, columns = '') {
  const [, filter = ''] = sql.match(/^-- +(schemaFilter: .+)$/m) ?? []
  expect(filter).not.toBe('')
  // In the repository, so that it finds its packages.
  const folder = join(root, 'target', `drizzle-${randomUUID()}`)
  await mkdir(folder, { recursive: true })
  const [schema, config] = [join(folder, 'schema.ts'), join(folder, 'drizzle.config.ts')]
  await writeFile(schema, drizzleSchema(columns))
  const connection = `dialect: 'postgresql', schema: '${inCode(schema)}', dbCredentials: { url: '${url}' }`
  await writeFile(config, `export default { ${connection}, ${filter} }`)
  const program = join(dirname(require.resolve('drizzle-kit')), 'bin.cjs')
  await promisify(execFile)(process.execPath, [program, 'push', '--force', '--config', config], { cwd: root })
  await rm(folder, { recursive: true })
}

const read = (file: string) => readFile(join(root, file), 'utf8')
const print = async (...args: string[]) => {
  const { code, stdout, stderr } = await run(['schema', ...args])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
}
/** The lines that declare a table, but for the tenant. */
function declaration(sql: string, table: string) {
  const [, body = ''] = sql.match(new RegExp(`^CREATE TABLE (?:IF NOT EXISTS )?${table} \\(\\n(.+?)^\\);`, 'ms')) ?? []
  expect(body).not.toBe('')
  return body.replace(/^ +tenant .+\n/m, '').replace('(tenant, ', '(')
}

describe.each(Object.entries(TOOLS))('--for %s', (name, tool) => {
  const database = useDatabase(async () => {})
  const { client } = database
  const pool = new pg.Pool({ connectionString: database.url })
  const users = tool.users(pool)
  let sql: string
  let options: object
  beforeAll(async () => {
    await client.query(`ALTER DATABASE ${client.database} SET TimeZone = 'Pacific/Kiritimati'`)
    sql = await print('--for', name)
    options = optionsIn(sql)
    await tool.makeTables(database, sql)
    await client.query(sql)
    // Once more, as tools do it that split a file at its semicolons.
    for (const statement of sql.split(';')) await client.query(statement)
  })
  afterAll(() => pool.end())

  async function createUser(): Promise<User> {
    const email = `${randomUUID()}@example.com`
    return users.createUser({ id: randomUUID(), name: 'Ada', email, emailVerified: null })
  }

  /** Inserts a row, and returns it with a cookie that has the claims that the SQL names. */
  async function startSession({ id }: User, expires_at: Date | null = null) {
    const session_id = randomUUID()
    await client.query(
      'INSERT INTO authjs_bridge.sessions (session_id, user_id, login_method, expires_at) VALUES ($1, $2, $3, $4)',
      [session_id, id, 'credentials', expires_at],
    )
    return { session_id, cookie: await mintCookie({ session_id, id }, { secret: SECRET }) }
  }

  const bridge = (more: object = {}, url = database.url) => makeBridge(url, { ...options, ...more })

  /** Creates a role with the rights that the SQL lists for `role`, and returns its URL. */
  async function withRightsOf(role: 'reader' | 'writer') {
    const own = `${role}_${randomUUID().replaceAll('-', '')}`
    await client.query(`CREATE ROLE ${own} LOGIN PASSWORD '${MARKERS.password}'`)
    const grants = [...sql.matchAll(new RegExp(`^-- (GRANT .+ TO) ${role};$`, 'gm'))]
    expect(grants.length).toBeGreaterThan(1)
    for (const [, grant] of grants) await client.query(`${grant} ${own}`)
    return Object.assign(new URL(database.url), { username: own, password: MARKERS.password }).href
  }

  test('a session lives until it is revoked', async () => {
    const user = await createUser()
    const { session_id, cookie } = await startSession(user)
    expect(await bridge().getSession(cookie)).toMatchObject({ session_id, user: { id: String(user.id) } })
    await client.query('UPDATE authjs_bridge.sessions SET revoked_at = now() WHERE session_id = $1', [session_id])
    expect(await bridge().getSession(cookie)).toEqual({})
  })

  test.each([
    ['a minute ago', -60_000, false],
    ['in a minute', 60_000, true],
  ])('a session that expires %s', async (_, milliseconds, lives) => {
    const { session_id, cookie } = await startSession(await createUser(), new Date(Date.now() + milliseconds))
    expect((await bridge().getSession(cookie)).session_id).toBe(lives ? session_id : undefined)
  })

  test('a session of another user is not accepted', async () => {
    const { session_id } = await startSession(await createUser())
    const { id } = await createUser()
    expect(await bridge().getSession(await mintCookie({ session_id, id }, { secret: SECRET }))).toEqual({})
  })

  test('a user who is deleted has no session, and leaves no row', async () => {
    const user = await createUser()
    const { session_id, cookie } = await startSession(user)
    await users.deleteUser(String(user.id))
    expect(await bridge().getSession(cookie)).toEqual({})
    const { rows } = await client.query('SELECT FROM authjs_bridge.sessions WHERE session_id = $1', [session_id])
    expect(rows).toEqual([])
  })

  test('the columns of the view can be fresh claims', async () => {
    const user = await createUser()
    const { cookie } = await startSession(user)
    const session = await bridge({ freshClaims: ['name', 'email', 'image'] }).getSession(cookie)
    expect(session.user).toMatchObject({ name: 'Ada', email: user.email })
  })

  test('the reader can read, by indexes, and nothing else', async () => {
    const url = await withRightsOf('reader')
    const { session_id, cookie } = await startSession(await createUser())
    expect((await bridge({}, url).getSession(cookie)).session_id).toBe(session_id)

    const env = { AUTH_SECRET: SECRET, DATABASE_URL: url, AUTH_BRIDGE_OPTIONS: JSON.stringify(options) }
    const { withStatus, check } = await diagnose({ env })
    expect(withStatus('failed')).toEqual([])
    expect(check('indexes')?.message).toBe(`sessions by sessions_pkey, ${tool.key}`)
    expect(check('rights')?.status).toBe('ok')
    const refused = { code: '42501' }
    const reader = new pg.Pool({ connectionString: url })
    await expect(reader.query('UPDATE authjs_bridge.sessions SET revoked_at = now()')).rejects.toMatchObject(refused)
    await expect(reader.query('UPDATE authjs_bridge.users SET name = NULL')).rejects.toMatchObject(refused)
    await reader.end()
  })

  test('the writer can start, extend, end and delete sessions, and read users', async () => {
    const user = await createUser()
    const writer = new pg.Pool({ connectionString: await withRightsOf('writer') })
    const { rows } = await writer.query(
      'INSERT INTO authjs_bridge.sessions (session_id, user_id) SELECT $1, user_id FROM authjs_bridge.users WHERE user_id = $2 RETURNING session_id',
      [randomUUID(), user.id],
    )
    const [{ session_id }] = rows
    for (const statement of [
      `UPDATE authjs_bridge.sessions SET expires_at = now() + interval '1 hour', last_activity_at = now(), updated_at = now()`,
      `UPDATE authjs_bridge.sessions SET revoked_at = now(), revoked_reason = 'lost'`,
      'DELETE FROM authjs_bridge.sessions',
    ]) {
      const { rowCount } = await writer.query(`${statement} WHERE session_id = $1`, [session_id])
      expect(rowCount).toBe(1)
    }
    await writer.end()
  })

  test('the table of sessions is that of schema.sql, but for tenant and the type of the user’s id', async () => {
    const withType = (type: string) => declaration(sql, 'authjs_bridge.sessions').replace(/(?<=user_id +)\w+/, type)
    expect(withType('uuid')).toBe(declaration(await read('schema.sql'), 'sessions'))
  })

  test('withSessions starts and ends sessions, with the real Auth.js', async () => {
    const { createUser, getUserByEmail } = users
    const newcomer = { id: '', email: `${randomUUID()}@example.com` }
    const adopt = { until: new Date(Date.now() + 60_000) }
    const config = withSessions(async (): Promise<AuthConfig> => ({ providers: [] }), { bridge: bridge(), adopt })
    const browser = browse(config, newcomer, { createUser, getUserByEmail })
    await browser.signUp()
    const cookie = browser.cookie()
    const { rows } = await client.query(
      'SELECT session_id, user_id, login_method FROM authjs_bridge.sessions JOIN authjs_bridge.users USING (user_id) WHERE email = $1',
      [newcomer.email],
    )
    expect(rows).toEqual([expect.objectContaining({ login_method: 'email' })])
    const [{ session_id, user_id }] = rows
    expect(await bridge().getSession(cookie)).toMatchObject({
      ...{ session_id, login_method: 'email' },
      user: { id: String(user_id), email: newcomer.email },
    })
    await browser.signOut()
    expect(await bridge().getSession(cookie)).toEqual({})

    // Who was signed in before gets a row at the next read.
    const [, token = ''] = (await mintCookie({ sub: String(user_id) }, { secret: SECRET })).split('=')
    browser.hold(token)
    await browser.read()
    expect((await bridge().getSession(browser.cookie())).user?.id).toBe(String(user_id))
  })

  test('with its triggers a process that listens is told: of a revocation, of a changed and of a deleted user', async () => {
    const notify = await print('--for', name, '--notify')
    for (let run = 0; run < 2; run++) await client.query(notify)
    const listening = bridge({ maxStaleness: 600_000, listen: true, freshClaims: ['name'] })
    const [user, other] = [await createUser(), await createUser()]
    const [first, second] = [await startSession(user), await startSession(other)]
    const read = ({ cookie }: typeof first) => listening.getSession(cookie)
    await read(first)
    await expect.poll(() => listening.stats().listener?.listening).toBe(true)
    const keys = () => listening.stats().batches.sum
    for (const session of [first, second]) expect((await read(session)).session_id).toBe(session.session_id)
    const asked = keys()
    for (const session of [first, second]) await read(session)
    expect(keys()).toBe(asked)
    await client.query('UPDATE authjs_bridge.sessions SET revoked_at = now() WHERE session_id = $1', [first.session_id])
    await expect.poll(() => read(first)).toEqual({})
    const [, table = ''] = notify.match(/watch\('(public[^']+)', 'users'/) ?? []
    await client.query(`UPDATE ${table} SET name = 'Countess' WHERE id = $1`, [other.id])
    await expect.poll(async () => (await read(second)).user?.name).toBe('Countess')
    await users.deleteUser(String(other.id))
    await expect.poll(() => read(second)).toEqual({})
  })

  if (name === 'drizzle')
    test('drizzle-kit push leaves it alone, and drops a column of a table that Drizzle manages', async () => {
      const { session_id, cookie } = await startSession(await createUser())
      await client.query('ALTER TABLE "session" ADD revoked_at timestamptz')
      await push(database.url, sql, `role: text('role').default('member'),`)
      const { rows } = await client.query('SELECT role FROM "user" LIMIT 1')
      expect(rows).toEqual([{ role: 'member' }])
      const { fields } = await client.query('SELECT * FROM "session"')
      expect(fields.map(({ name }) => name)).toEqual(['sessionToken', 'userId', 'expires'])
      expect((await bridge().getSession(cookie)).session_id).toBe(session_id)
    })

  if (name === 'prisma')
    test('after a reset, which drops the tables of Prisma, it is run again', async () => {
      const user = await createUser()
      const { cookie } = await startSession(user)
      await client.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
      await tool.makeTables(database, sql)
      await expect(bridge().getSession(cookie)).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_DATABASE' })
      await client.query(sql)
      expect(await bridge().getSession(cookie)).toEqual({})
      const { session_id, cookie: next } = await startSession(await createUser())
      expect((await bridge().getSession(next)).session_id).toBe(session_id)
    })
})

test('the options in the docs are those that each SQL names', async () => {
  const [, text = ''] =
    codeBlocks(MOVING)
      .find(({ language, text }) => language === 'dotenv' && text.includes('"tables"'))
      ?.text.match(/^AUTH_BRIDGE_OPTIONS='(.+)'$/m) ?? []
  for (const name of Object.keys(TOOLS)) expect(optionsIn(await print('--for', name))).toEqual(JSON.parse(text))
})

/** The options in the comment at the beginning. */
function optionsIn(sql: string): object {
  const [text = ''] = sql.match(/^-- +\{\n(?:--.*\n)+?-- +\}$/m) ?? []
  return JSON.parse(text.replaceAll(/^--/gm, ''))
}

describe('--single-tenant', () => {
  const { client, url } = useDatabase(async (client) => client.query(await print('--single-tenant')))
  const options: object = { multiTenant: false }

  test('has the tables of schema.sql without tenant', async () => {
    const sql = await print('--single-tenant')
    for (const table of ['users', 'sessions']) {
      expect(sql).not.toMatch(/\btenant\b/)
      expect(declaration(sql, table)).toBe(declaration(await read('schema.sql'), table))
    }
  })

  test('a session lives until it is revoked, with multiTenant: false', async () => {
    const [id, session_id] = [randomUUID(), randomUUID()]
    await client.query(`INSERT INTO users (user_id, user_type) VALUES ($1, 'client')`, [id])
    await client.query('INSERT INTO sessions (session_id, user_id) VALUES ($1, $2)', [session_id, id])
    const cookie = await mintCookie({ session_id, id, user_type: 'client' }, { secret: SECRET })
    expect((await makeBridge(url, options).getSession(cookie)).session_id).toBe(session_id)
    await client.query('UPDATE sessions SET revoked_at = now()')
    expect(await makeBridge(url, options).getSession(cookie)).toEqual({})
  })
})

test('without an option it is schema.sql, byte by byte', async () => {
  expect(await print()).toBe(await read('schema.sql'))
})

test('--help names each option', async () => {
  const help = await print('--help')
  for (const option of ['--single-tenant', ...Object.keys(TOOLS).map((name) => `--for ${name}`)]) {
    expect(help).toContain(`  ${option}  `)
  }
})

test.each<[string, string[], RegExp]>([
  ['another tool', ['--for', MARKERS.password], /--for must be prisma, drizzle or auth-adapter\n$/],
  ['a name that every object has', ['--for', 'constructor'], /--for must be/],
  ['no tool', ['--for'], /--for without a value/],
  ['an empty tool', ['--for', ''], /--for is empty/],
  ['a tool and --single-tenant', ['--for', 'prisma', '--single-tenant'], /leave out --single-tenant/],
  ['an argument', [MARKERS.password], /schema takes no arguments/],
  ['an option of another command', ['--json'], /unknown option/],
])('%s is a wrong command line', async (_, args, message) => {
  const { code, stdout, stderr } = await run(['schema', ...args])
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(message)
})
