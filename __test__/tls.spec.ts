import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AuthBridge } from '../index.js'
import { createAuthority } from './support/certificates.js'
import { mintCookie } from './support/cookies.mjs'
import { startPostgres } from './support/postgres.mjs'
import { claimsOf, createSession, createTables, createUser } from './support/tenants.mjs'

const SECRET = 'the secret of the test, 32 bytes'
const DAY = 24 * 3600 * 1000

type Server = Awaited<ReturnType<typeof startPostgres>>
let folder: string
let servers: Record<'good' | 'expired', Server>
let cookie: string
let sessionId: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-tls-'))
  const authority = await createAuthority('the right authority')
  await writeFile(join(folder, 'right.pem'), authority.certificate)
  await writeFile(join(folder, 'other.pem'), (await createAuthority('another authority')).certificate)
  servers = {
    good: await startPostgres({}, await authority.sign('localhost')),
    expired: await startPostgres({}, await authority.sign('localhost', { notAfter: new Date(Date.now() - DAY) })),
  }
  const client = new pg.Client(servers.good.url())
  await client.connect()
  await createTables(client)
  const user = await createUser(client)
  const session = await createSession(client, user)
  sessionId = session.session_id
  cookie = await mintCookie(claimsOf(user, session), { secret: SECRET })
  await client.end()
})
afterAll(async () => {
  await Promise.all(Object.values(servers).map((server) => server.dispose()))
  await rm(folder, { recursive: true })
})

/** The session, or the error's code and message; and whether the server saw TLS. */
async function read(host: string, parameters: Record<string, string>, server: Server = servers.good) {
  const url = new URL(server.url())
  url.hostname = host
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  url.searchParams.set('application_name', 'tls-test')
  const bridge = new AuthBridge({ secret: SECRET, databaseUrl: url.href })
  try {
    const { session_id } = await bridge.getSession(cookie)
    return { session_id, encrypted: await isEncrypted(server) }
  } catch (error) {
    return error as Error & { code: string }
  } finally {
    await bridge.close()
  }
}

async function isEncrypted(server: Server) {
  const client = new pg.Client(server.url())
  await client.connect()
  const connections = `SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'tls-test'`
  const { rows } = await client.query(connections)
  await client.end()
  return rows.map(({ ssl }) => ssl).join()
}

const file = (name: string) => join(folder, name)

describe('connects', () => {
  test.each<[string, string, () => Record<string, string>, boolean]>([
    ['by default, encrypted where the server can', 'localhost', () => ({}), true],
    ['disable', 'localhost', () => ({ sslmode: 'disable' }), false],
    ['prefer', 'localhost', () => ({ sslmode: 'prefer' }), true],
    ['require, whoever the server is', '127.0.0.1', () => ({ sslmode: 'require' }), true],
    ['verify-ca', 'localhost', () => ({ sslmode: 'verify-ca', sslrootcert: file('right.pem') }), true],
    ['verify-ca, under any name', '127.0.0.1', () => ({ sslmode: 'verify-ca', sslrootcert: file('right.pem') }), true],
    ['verify-full', 'localhost', () => ({ sslmode: 'verify-full', sslrootcert: file('right.pem') }), true],
  ])('%s', async (_, host, parameters, encrypted) => {
    expect(await read(host, parameters())).toEqual({ session_id: sessionId, encrypted: String(encrypted) })
  })
})

describe('refuses', () => {
  test.each<[string, string, () => Record<string, string>, RegExp]>([
    [
      'verify-ca: another authority',
      'localhost',
      () => ({ sslmode: 'verify-ca', sslrootcert: file('other.pem') }),
      /certificate verify failed/,
    ],
    [
      'require with a root certificate: another authority',
      'localhost',
      () => ({ sslmode: 'require', sslrootcert: file('other.pem') }),
      /certificate verify failed/,
    ],
    [
      'verify-full: another authority',
      'localhost',
      () => ({ sslmode: 'verify-full', sslrootcert: file('other.pem') }),
      /certificate verify failed/,
    ],
    [
      'verify-full: another name',
      '127.0.0.1',
      () => ({ sslmode: 'verify-full', sslrootcert: file('right.pem') }),
      /certificate verify failed.*IP address mismatch/,
    ],
    [
      'verify-full by the system: an authority that it does not know',
      'localhost',
      () => ({ sslmode: 'verify-full' }),
      /certificate verify failed/,
    ],
  ])('%s', async (_, host, parameters, message) => {
    const expected = { code: 'ERR_AUTH_BRIDGE_DATABASE', message: expect.stringMatching(message) }
    expect(await read(host, parameters())).toMatchObject(expected)
  })

  test('verify-full: an expired certificate', async () => {
    const parameters = { sslmode: 'verify-full', sslrootcert: file('right.pem') }
    expect(await read('localhost', parameters, servers.expired)).toMatchObject({
      code: 'ERR_AUTH_BRIDGE_DATABASE',
      message: expect.stringMatching(/certificate has expired/),
    })
  })
})
