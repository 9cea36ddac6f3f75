// A PgBouncer of one's own in transaction mode: Debian's package or any other that is on the path.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './postgres.mjs'

/**
 * @param {string} serverUrl the server to pool connections to
 * @param {Record<string, string | number>} [settings] as in `pgbouncer.ini`; `databases` are the names that it knows
 */
export async function startPgBouncer(serverUrl, { databases = '*', ...settings } = {}) {
  const { hostname, port: serverPort, username, password } = new URL(serverUrl)
  const directory = await mkdtemp(join(tmpdir(), 'authjs-bridge-pgbouncer-'))
  const port = await freePort()
  const users = join(directory, 'users.txt')
  const configuration = join(directory, 'pgbouncer.ini')
  await writeFile(users, `"${username}" "${decodeURIComponent(password)}"\n`)
  const lines = Object.entries({
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: users,
    pool_mode: 'transaction',
    default_pool_size: 2,
    server_login_retry: 0,
    ...settings,
  }).map(([name, value]) => `${name} = ${value}`)
  const database = `${databases} = host=${hostname} port=${serverPort}`
  await writeFile(configuration, `[databases]\n${database}\n\n[pgbouncer]\n${lines.join('\n')}\n`)
  // It refuses to run as root.
  const owner = process.getuid?.() === 0 ? nobody() : undefined
  if (owner) {
    await chmod(directory, 0o755)
    for (const file of [users, configuration]) await chown(file, owner.uid, owner.gid)
  }
  const pgbouncer = spawn('pgbouncer', [configuration], { ...owner, stdio: ['ignore', 'ignore', 'pipe'] })
  process.on('exit', () => pgbouncer.kill('SIGKILL'))
  let log = ''
  await new Promise((resolve, reject) => {
    pgbouncer.once('error', (cause) => reject(new Error('pgbouncer is needed, for example from apt-get', { cause })))
    pgbouncer.once('exit', () => reject(new Error(`PgBouncer did not start:\n${log}`)))
    pgbouncer.stderr.on('data', (bytes) => {
      log += bytes
      if (log.includes('process up')) resolve(undefined)
    })
  })
  return {
    port,
    async stop() {
      if (pgbouncer.exitCode !== null) throw new Error(`PgBouncer has ended by itself:\n${log}`)
      pgbouncer.removeAllListeners('exit')
      pgbouncer.kill('SIGTERM')
      await once(pgbouncer, 'exit')
      await rm(directory, { recursive: true })
    },
  }
}

function nobody() {
  const id = (/** @type {string} */ flag) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}
