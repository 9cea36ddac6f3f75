import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSecureContext, createServer as createTlsServer, TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AuthBridge, type AuthBridgeOptions } from '../index.js'
import { SECRET } from './support/bridges.js'
import { createAuthority } from './support/certificates.js'
import { mintCookie } from './support/cookies.mjs'
import { connections, rejectionOf, withClient } from './support/faults.js'
import { authenticationOk, int32, message, readyForQuery } from './support/hostile-server.js'
import { startPostgres } from './support/postgres.mjs'
import { runScript } from './support/script.js'
import { claimsOf, createSession, createTables, createUser } from './support/tenants.mjs'

const DAY = 24 * 3600 * 1000

type Server = Awaited<ReturnType<typeof startPostgres>>
let folder: string
let servers: Record<'good' | 'expired' | 'plain' | 'choosy', Server>
let authority: Awaited<ReturnType<typeof createAuthority>>
let authorities: Record<'right' | 'other', string>
let cookie: string
let sessionId: string
let user: Awaited<ReturnType<typeof createUser>>
let session: Awaited<ReturnType<typeof createSession>>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'authjs-bridge-tls-'))
  authority = await createAuthority('the right authority')
  const other = await createAuthority('another authority')
  authorities = { right: authority.certificate, other: other.certificate }
  const own = await authority.sign('postgres')
  const [right, client] = [join(folder, 'right.pem'), join(folder, 'client')]
  await writeFile(right, authority.certificate)
  await writeFile(join(folder, 'other.pem'), other.certificate)
  await writeFile(`${client}.crt`, own.certificate)
  await writeFile(`${client}.key`, own.key, { mode: 0o600 })
  await chmod(folder, 0o755)
  const certificate = await authority.sign('localhost')
  servers = {
    good: await startPostgres({}, certificate),
    expired: await startPostgres({}, await authority.sign('localhost', { notAfter: new Date(Date.now() - DAY) })),
    plain: await startPostgres(),
    // Accepts only TLS with a client certificate.
    choosy: await startPostgres({ ssl_ca_file: right }, certificate),
  }
  const lines = 'hostnossl all all all reject\nhostssl all all all scram-sha-256 clientcert=verify-ca\n'
  await writeFile(join(servers.choosy.data, 'pg_hba.conf'), lines)
  await asPostgres(servers.good, async (database) => {
    await createTables(database)
    user = await createUser(database)
    session = await createSession(database, user)
  })
  for (const server of [servers.plain, servers.choosy]) {
    await asPostgres(server, async (database) => {
      await createTables(database)
      await createUser(database, user)
      await createSession(database, user, session)
      await database.query('SELECT pg_reload_conf()')
    })
  }
  sessionId = session.session_id
  cookie = await mintCookie(claimsOf(user, session), { secret: SECRET })
})
afterAll(async () => {
  await Promise.all(Object.values(servers).map((server) => server.dispose()))
  await rm(folder, { recursive: true })
})

const asPostgres = <T>(server: Server, run: (client: pg.Client) => Promise<T>) => withClient(server.url(), run)

/** The id of the session and whether the connection was encrypted, or the error. */
async function read(
  host: string,
  parameters: Record<string, string>,
  server: Server = servers.good,
  options: AuthBridgeOptions = {},
) {
  const url = new URL(server.url())
  url.hostname = host
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  // The server may still know the connection of the test before.
  const application = `tls-test-${randomUUID()}`
  url.searchParams.set('application_name', application)
  const bridge = new AuthBridge({ secret: SECRET, databaseUrl: url.href, ...options })
  try {
    const { session_id } = await bridge.getSession(cookie)
    return { session_id, encrypted: await isEncrypted(server, application) }
  } catch (error) {
    return error as Error & { code: string }
  } finally {
    await bridge.close()
  }
}

/** Whether the test's connection is encrypted, by the server's view; 'null' for `choosy`, where this client can't connect. */
async function isEncrypted(server: Server, application: string) {
  if (server === servers.choosy) return 'null'
  const connections = 'SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = $1'
  const { rows } = await asPostgres(server, (client) => client.query(connections, [application]))
  return rows.map(({ ssl }) => ssl).join()
}

const file = (name: string) => join(folder, name)

/**
 * Starts a fake PostgreSQL server that implements TLS and the start of the login, with a certificate for `name`. `answer` gets
 * the bytes that arrive through TLS, first the startup message.
 */
async function startLoginServer(name: string, answer: (socket: TLSSocket, bytes: Buffer) => unknown) {
  const { certificate, key } = await authority.sign(name)
  const secureContext = createSecureContext({ cert: certificate, key })
  /** The host names that clients sent (SNI). */
  const names: (string | false | null)[] = []
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write('S')
      const secure = new TLSSocket(socket, {
        isServer: true,
        secureContext,
        SNICallback: (name, done) => {
          names.push(name)
          done(null, secureContext)
        },
      })
      secure.on('error', () => {})
      secure.on('data', (bytes) => answer(secure, bytes))
    })
  })
  server.listen(0)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    names,
    url: (host: string, parameters: Record<string, string>) =>
      `postgres://u:hunter2@${host}:${port}/d?${new URLSearchParams(parameters)}`,
    close: () => server.close(),
  }
}

describe('connects', () => {
  test.each<[string, string, () => Record<string, string>, boolean]>([
    ['by default, encrypted where the server can', 'localhost', () => ({}), true],
    ['disable', 'localhost', () => ({ sslmode: 'disable' }), false],
    ['prefer', 'localhost', () => ({ sslmode: 'prefer' }), true],
    ['require, for any host name', '127.0.0.1', () => ({ sslmode: 'require' }), true],
    ['verify-ca', 'localhost', () => ({ sslmode: 'verify-ca', sslrootcert: file('right.pem') }), true],
    [
      'verify-ca, for any host name',
      '127.0.0.1',
      () => ({ sslmode: 'verify-ca', sslrootcert: file('right.pem') }),
      true,
    ],
    ['verify-full', 'localhost', () => ({ sslmode: 'verify-full', sslrootcert: file('right.pem') }), true],
  ])('%s', async (_, host, parameters, encrypted) => {
    expect(await read(host, parameters())).toEqual({ session_id: sessionId, encrypted: String(encrypted) })
  })
})

describe('also connects', () => {
  test.each<[string, string, string | undefined]>([
    ['tls.ca: verify-full', 'localhost', undefined],
    ['tls.ca beside verify-ca', '127.0.0.1', 'verify-ca'],
    ['tls.ca beside require, which is verify-ca then', '127.0.0.1', 'require'],
  ])('%s', async (_, host, sslmode) => {
    const options = { tls: { ca: [authorities.other, authorities.right] } }
    const found = await read(host, sslmode ? { sslmode } : {}, servers.good, options)
    expect(found).toEqual({ session_id: sessionId, encrypted: 'true' })
  })

  test.each(['prefer', 'allow', 'disable'])('%s: a server without TLS', async (sslmode) => {
    const found = await read('localhost', { sslmode }, servers.plain)
    expect(found).toEqual({ session_id: sessionId, encrypted: 'false' })
  })

  // In a worker thread, process.env is a copy that OpenSSL doesn't see.
  test.runIf(isMainThread)('sslrootcert=system: an authority of the system', async () => {
    process.env.SSL_CERT_FILE = file('right.pem')
    try {
      const found = await read('localhost', { sslrootcert: 'system' })
      expect(found).toEqual({ session_id: sessionId, encrypted: 'true' })
    } finally {
      delete process.env.SSL_CERT_FILE
    }
  })

  test('a password with channel binding', async () => {
    const found = await read('localhost', { sslmode: 'require', channel_binding: 'require' })
    expect(found).toEqual({ session_id: sessionId, encrypted: 'true' })
  })

  test('direct TLS negotiation', async () => {
    const found = await read('localhost', { sslmode: 'require', sslnegotiation: 'direct' })
    expect(found).toEqual({ session_id: sessionId, encrypted: 'true' })
  })

  test.each(['require', 'allow'])('%s: a server that wants a client certificate', async (sslmode) => {
    const parameters = { sslmode, sslcert: file('client.crt'), sslkey: file('client.key') }
    expect(await read('localhost', parameters, servers.choosy)).toMatchObject({ session_id: sessionId })
  })

  test('prefer: without TLS if the handshake fails', async () => {
    // The server speaks TLS 1.2 at most.
    await asPostgres(servers.good, (client) =>
      client
        .query(`ALTER SYSTEM SET ssl_max_protocol_version = 'TLSv1.2'`)
        .then(() => client.query('SELECT pg_reload_conf()')),
    )
    try {
      const parameters = { ssl_min_protocol_version: 'TLSv1.3' }
      await expect
        .poll(() => read('localhost', { sslmode: 'require', ...parameters }))
        .toMatchObject({ code: 'ERR_AUTH_BRIDGE_DATABASE', message: expect.stringMatching(/alert protocol version/) })
      const found = await read('localhost', { sslmode: 'prefer', ...parameters })
      expect(found).toEqual({ session_id: sessionId, encrypted: 'false' })
    } finally {
      await asPostgres(servers.good, (client) =>
        client.query('ALTER SYSTEM RESET ssl_max_protocol_version').then(() => client.query('SELECT pg_reload_conf()')),
      )
    }
  })

  test('sends the host name to the server (SNI), but no IP address', async () => {
    const server = await startLoginServer('localhost', (socket) => socket.destroy())
    for (const host of ['localhost', '127.0.0.1']) {
      const bridge = new AuthBridge({ secret: SECRET, databaseUrl: server.url(host, { sslmode: 'require' }) })
      await expect(bridge.getSession(cookie)).rejects.toMatchObject({ code: 'ERR_AUTH_BRIDGE_DATABASE' })
      await bridge.close()
    }
    server.close()
    expect(server.names).toEqual(['localhost'])
  })
})

describe('on a machine without authorities', () => {
  /** What `getSession` gives in a process of its own, whose Node.js comes with the authorities of these files alone. */
  async function readThere(env: Record<string, string>, roots: string[] | null = null) {
    const url = new URL(servers.good.url())
    url.hostname = 'localhost'
    url.searchParams.set('sslmode', 'verify-full')
    const script = `
      const { readFileSync } = require('node:fs')
      const roots = ${JSON.stringify(roots)}?.map((file) => readFileSync(file, 'utf8'))
      if (roots) process.getBuiltinModule = () => ({ rootCertificates: roots })
      const { getSession } = require(${JSON.stringify(fileURLToPath(new URL('../index.js', import.meta.url)))})
      getSession(${JSON.stringify(cookie)}).then(
        ({ session_id }) => console.log(session_id),
        ({ code, message }) => console.log(code, message),
      )`
    await writeFile(file('empty.pem'), '')
    await mkdir(file('empty'), { recursive: true })
    const machine = { SSL_CERT_FILE: file('empty.pem'), SSL_CERT_DIR: file('empty') }
    const app = { AUTH_SECRET: SECRET, NODE_ENV: 'test', DATABASE_URL: url.href }
    const { output, errors } = await runScript(script, { ...machine, ...app, ...env })
    return output || errors
  }

  test("those of Node.js itself are trusted, but not this server's", async () => {
    expect(await readThere({})).toMatch(/^ERR_AUTH_BRIDGE_DATABASE .*certificate verify failed/)
  })

  test('this server, by an authority of Node.js', async () => {
    expect(await readThere({}, [file('right.pem')])).toBe(sessionId)
  })

  test('this server, by NODE_EXTRA_CA_CERTS', async () => {
    expect(await readThere({ NODE_EXTRA_CA_CERTS: file('right.pem') })).toBe(sessionId)
  })

  test('NODE_EXTRA_CA_CERTS adds to the others', async () => {
    expect(await readThere({ NODE_EXTRA_CA_CERTS: file('other.pem') }, [file('right.pem')])).toBe(sessionId)
    const both = { SSL_CERT_FILE: file('right.pem'), NODE_EXTRA_CA_CERTS: file('other.pem') }
    expect(await readThere(both)).toBe(sessionId)
  })

  test('authorities of the system take the place of those of Node.js', async () => {
    const read = await readThere({ SSL_CERT_FILE: file('other.pem') }, [file('right.pem')])
    expect(read).toMatch(/^ERR_AUTH_BRIDGE_DATABASE .*certificate verify failed/)
  })

  test('NODE_EXTRA_CA_CERTS does not count beside an authority that is named', async () => {
    const url = new URL(servers.good.url())
    url.search = `${new URLSearchParams({ sslmode: 'verify-full', sslrootcert: file('other.pem') })}`
    url.hostname = 'localhost'
    const env = { NODE_EXTRA_CA_CERTS: file('right.pem'), DATABASE_URL: url.href }
    expect(await readThere(env)).toMatch(/^ERR_AUTH_BRIDGE_DATABASE .*certificate verify failed/)
  })

  test('a NODE_EXTRA_CA_CERTS that can not be read is an error', async () => {
    expect(await readThere({ NODE_EXTRA_CA_CERTS: '/nowhere.pem' })).toMatch(
      /^ERR_AUTH_BRIDGE_CONFIG NODE_EXTRA_CA_CERTS: names a file that can't be read: /m,
    )
  })

  test('none at all: an error that says what to install', async () => {
    expect(await readThere({}, [])).toMatch(
      /^ERR_AUTH_BRIDGE_CONFIG sslrootcert: .*install the package ca-certificates/,
    )
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
      "verify-full with the system's authorities: an unknown authority",
      'localhost',
      () => ({ sslmode: 'verify-full' }),
      /certificate verify failed/,
    ],
  ])('%s', async (_, host, parameters, message) => {
    const expected = { code: 'ERR_AUTH_BRIDGE_DATABASE', message: expect.stringMatching(message) }
    expect(await read(host, parameters())).toMatchObject(expected)
  })

  test.each<[string, (pem: string) => string]>([
    ['as it is', (pem) => pem],
    ['with \\n for its line breaks', (pem) => pem.trim().replaceAll('\n', '\\n')],
    ['with \\r\\n for them, in quotes', (pem) => `"${pem.replaceAll('\n', '\\r\\n')}"\n`],
  ])('verify-full by tls.ca: PEM %s', async (_, spell) => {
    const session = await read('localhost', {}, servers.good, { tls: { ca: spell(authorities.right) } })
    expect(session).toHaveProperty('session_id')
  })

  test('verify-full by tls.ca: another authority', async () => {
    const options = { tls: { ca: authorities.other } }
    expect(await read('localhost', {}, servers.good, options)).toMatchObject({
      code: 'ERR_AUTH_BRIDGE_DATABASE',
      message: expect.stringMatching(/certificate verify failed/),
    })
  })

  test('tls.ca without sslmode is verify-full: another name', async () => {
    const options = { tls: { ca: authorities.right } }
    expect(await read('127.0.0.1', {}, servers.good, options)).toMatchObject({
      code: 'ERR_AUTH_BRIDGE_DATABASE',
      message: expect.stringMatching(/certificate verify failed.*IP address mismatch/),
    })
  })

  // In a worker thread, process.env is a copy that OpenSSL doesn't see.
  test.runIf(isMainThread)('authorities of the environment are ignored if the configuration names others', async () => {
    process.env.SSL_CERT_FILE = file('right.pem')
    try {
      const byUrl = await read('localhost', { sslmode: 'verify-full', sslrootcert: file('other.pem') })
      const byOption = await read('localhost', {}, servers.good, { tls: { ca: authorities.other } })
      for (const refused of [byUrl, byOption]) {
        expect(refused).toMatchObject({ message: expect.stringMatching(/certificate verify failed/) })
      }
    } finally {
      delete process.env.SSL_CERT_FILE
    }
  })

  test('verify-full: a certificate for another host', async () => {
    const server = await startLoginServer('db.example.com', (socket) => socket.destroy())
    const databaseUrl = server.url('localhost', { sslmode: 'verify-full', sslrootcert: file('right.pem') })
    const bridge = new AuthBridge({ secret: SECRET, databaseUrl })
    expect(await rejectionOf(bridge, cookie)).toMatchObject({
      code: 'ERR_AUTH_BRIDGE_DATABASE',
      message: expect.stringMatching(/certificate verify failed.*hostname mismatch/),
    })
    await bridge.close()
    server.close()
  })

  test.each(['require', 'verify-ca', 'verify-full'])('%s: a server without TLS', async (sslmode) => {
    const parameters = { sslmode, sslrootcert: file('right.pem') }
    expect(await read('localhost', parameters, servers.plain)).toMatchObject({
      code: 'ERR_AUTH_BRIDGE_DATABASE',
      message: expect.stringMatching(/server does not support TLS/),
    })
  })

  test('channel_binding=require without TLS', async () => {
    const parameters = { sslmode: 'disable', channel_binding: 'require' }
    expect(await read('localhost', parameters)).toMatchObject({
      code: 'ERR_AUTH_BRIDGE_DATABASE',
      message: expect.stringMatching(/channel binding/),
    })
  })

  const [CLEARTEXT, MD5, SASL] = [3, 5, 10].map(int32)
  const requests = {
    'the password in clear text': message('R', CLEARTEXT),
    'its MD5': message('R', MD5, Buffer.from('salt')),
    'SCRAM without a binding': message('R', SASL, 'SCRAM-SHA-256\0\0'),
    nothing: Buffer.concat([authenticationOk, readyForQuery]),
  }

  /** Sends this authentication request. Returns the error, and the types of the messages that the client sends. */
  async function login(request: Buffer, parameters: Record<string, string>) {
    const sent: Buffer[] = []
    const server = await startLoginServer('localhost', (socket, bytes) => {
      sent.push(bytes)
      if (sent.length === 1) socket.write(request)
      else socket.destroy()
    })
    const bridge = new AuthBridge({
      secret: SECRET,
      databaseUrl: server.url('localhost', { sslmode: 'require', ...parameters }),
    })
    const { code } = await rejectionOf(bridge, cookie)
    await bridge.close()
    server.close()
    const [greeting, ...messages] = sent
    expect(greeting?.toString('latin1')).toContain('user\0u\0')
    return { code, messages: messages.map((bytes) => bytes.toString('latin1', 0, 1)) }
  }

  test.each(Object.entries(requests))('channel_binding=require: a server that asks for %s', async (_, request) => {
    const { code, messages } = await login(request, { channel_binding: 'require' })
    expect(code).toBe('ERR_AUTH_BRIDGE_DATABASE')
    expect(messages.filter((letter) => letter !== 'X')).toEqual([])
  })

  test('without channel_binding the server gets the password', async () => {
    const { messages } = await login(requests['the password in clear text'], {})
    expect(messages).toEqual(['p'])
  })

  test('a server that wants a client certificate: there is none', async () => {
    expect(await read('localhost', { sslmode: 'require' }, servers.choosy)).toMatchObject({
      code: 'ERR_AUTH_BRIDGE_DATABASE',
      message: expect.stringMatching(/valid client certificate/),
    })
  })

  test('verify-full: an expired certificate', async () => {
    const parameters = { sslmode: 'verify-full', sslrootcert: file('right.pem') }
    expect(await read('localhost', parameters, servers.expired)).toMatchObject({
      code: 'ERR_AUTH_BRIDGE_DATABASE',
      message: expect.stringMatching(/certificate has expired/),
    })
  })
})

describe('sslnegotiation=direct', () => {
  /** The error, and what a server got through TLS that speaks these protocols. */
  async function readDirectly(sslmode: string, ALPNProtocols?: string[]) {
    const { certificate, key } = await authority.sign('localhost')
    const received: Buffer[] = []
    const server = createTlsServer({ cert: certificate, key, ALPNProtocols }, (socket) => {
      socket.on('error', () => {})
      socket.on('data', (bytes) => {
        received.push(bytes)
        socket.destroy()
      })
    })
    server.listen(0)
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const parameters = new URLSearchParams({ sslmode, sslrootcert: file('right.pem'), sslnegotiation: 'direct' })
    const databaseUrl = `postgres://u:hunter2@localhost:${port}/d?${parameters}`
    const bridge = new AuthBridge({ secret: SECRET, databaseUrl })
    const { code, message } = await rejectionOf(bridge, cookie)
    await bridge.close()
    server.close()
    return { code, message, received: Buffer.concat(received).toString('latin1') }
  }

  test.each(['require', 'verify-full'])(
    '%s: a server that does not confirm the protocol gets nothing',
    async (sslmode) => {
      expect(await readDirectly(sslmode)).toEqual({
        code: 'ERR_AUTH_BRIDGE_DATABASE',
        message: expect.stringMatching(/does not confirm that it speaks PostgreSQL's protocol \(ALPN\)/),
        received: '',
      })
    },
  )

  test('a server that speaks another protocol gets nothing', async () => {
    expect(await readDirectly('require', ['http/1.1'])).toEqual({
      code: 'ERR_AUTH_BRIDGE_DATABASE',
      message: expect.stringMatching(/alert no application protocol/),
      received: '',
    })
  })

  test('a server that confirms it gets the greeting', async () => {
    const { received } = await readDirectly('verify-full', ['http/1.1', 'postgresql'])
    expect(received).toContain('user\0u\0')
  })
})

describe('the connection that cancels a query', () => {
  /**
   * What gets who takes the place of the server after the first connection, with a certificate for the same name by
   * another authority.
   */
  async function cancelTo(parameters: Record<string, string>) {
    const { certificate, key } = await (await createAuthority('another authority')).sign('localhost')
    const secureContext = createSecureContext({ cert: certificate, key })
    const received: Buffer[] = []
    let ended = false
    let connections = 0
    const proxy = createServer((socket) => {
      socket.on('error', () => {})
      if (connections++ === 0) {
        const upstream = connect(Number(new URL(servers.good.url()).port), '127.0.0.1').on('error', () => {})
        socket.pipe(upstream).pipe(socket)
        return
      }
      socket.on('close', () => {
        ended = true
      })
      socket.once('data', () => {
        socket.write('S')
        const secure = new TLSSocket(socket, { isServer: true, secureContext }).on('error', () => {})
        secure.on('data', (bytes) => {
          received.push(bytes)
          secure.end()
        })
      })
    })
    proxy.listen(0)
    await once(proxy, 'listening')
    const url = new URL(servers.good.url())
    url.hostname = 'localhost'
    url.port = String((proxy.address() as AddressInfo).port)
    url.search = `${new URLSearchParams(parameters)}`
    const bridge = new AuthBridge({ secret: SECRET, databaseUrl: url.href, queryTimeout: 500 })
    await asPostgres(servers.good, async (client) => {
      await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
      expect((await rejectionOf(bridge, cookie)).code).toBe('ERR_AUTH_BRIDGE_TIMEOUT')
      await expect.poll(() => ended).toBe(true)
      await client.query('ROLLBACK')
    })
    await bridge.close()
    proxy.close()
    return received.map((bytes) => bytes.toString('hex', 0, 8))
  }

  test('verifies the certificate, and tells no other server its key', async () => {
    expect(await cancelTo({ sslmode: 'verify-full', sslrootcert: file('right.pem') })).toEqual([])
  })

  test('tells it where no certificate is asked for', async () => {
    // The length, and the code of a cancel request.
    expect(await cancelTo({ sslmode: 'require' })).toEqual(['0000001004d2162e'])
  })
})

test('a query that timed out is cancelled on the server, through TLS', async () => {
  const url = new URL(servers.good.url())
  url.hostname = 'localhost'
  url.searchParams.set('sslmode', 'verify-full')
  url.searchParams.set('sslrootcert', file('right.pem'))
  // Without prepared statements, no statement_timeout is set on the server.
  const options = { preparedStatements: false, queryTimeout: 500 }
  const bridge = new AuthBridge({ secret: SECRET, databaseUrl: url.href, ...options })
  await asPostgres(servers.good, async (client) => {
    await client.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
    const waiting = () => asPostgres(servers.good, (watcher) => connections(watcher, `AND wait_event_type = 'Lock'`))
    const refused = rejectionOf(bridge, cookie)
    await expect.poll(waiting).toBe(1)
    expect((await refused).code).toBe('ERR_AUTH_BRIDGE_TIMEOUT')
    await expect.poll(waiting).toBe(0)
    await client.query('ROLLBACK')
  })
  await bridge.close()
})

test.each<['right' | 'other', boolean]>([
  ['right', true],
  ['other', false],
])('the listener verifies its server: %s authority', async (name, listening) => {
  const url = new URL(servers.good.url())
  url.hostname = 'localhost'
  const application = `tls-test-${randomUUID()}`
  url.searchParams.set('application_name', application)
  const listenUrl = new URL(url)
  listenUrl.searchParams.set('sslmode', 'verify-full')
  listenUrl.searchParams.set('sslrootcert', file(`${name}.pem`))
  const options = { databaseUrl: servers.good.url(), listenUrl: listenUrl.href, maxStaleness: 60_000, listen: true }
  const bridge = new AuthBridge({ secret: SECRET, ...options })
  await bridge.getSession(cookie)
  await expect.poll(() => bridge.stats().listener?.[listening ? 'listening' : 'problem']).toBeTruthy()
  if (listening) expect(await isEncrypted(servers.good, application)).toMatch(/^true\b/)
  else expect(bridge.stats().listener?.problem).toMatch(/certificate verify failed/)
  await bridge.close()
})
