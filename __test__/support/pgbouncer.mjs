// Starts a PgBouncer in transaction mode. Uses the `pgbouncer` in PATH.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, serverUser } from './postgres.mjs'

/**
 * @param {string} serverUrl the PostgreSQL server
 * @param {Record<string, string | number>} [settings] as in `pgbouncer.ini`; `databases` are the names that it accepts
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
  const owner = serverUser()
  if (owner.uid !== undefined && owner.gid !== undefined) {
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
      if (pgbouncer.exitCode !== null) throw new Error(`PgBouncer has ended unexpectedly:\n${log}`)
      pgbouncer.removeAllListeners('exit')
      pgbouncer.kill('SIGTERM')
      await once(pgbouncer, 'exit')
      await rm(directory, { recursive: true })
    },
  }
}
