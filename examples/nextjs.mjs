// Starts examples/nextjs with this package, packed and installed as users install it. Uses the database of DATABASE_URL, or
// starts a PostgreSQL server. PORT is 3000 by default. `--dev` runs `next dev`; `--no-build` reuses the last build.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { installWithPackage, next, ROOT, run, serve } from '../__test__/support/apps.mjs'
import { startPostgres } from '../__test__/support/postgres.mjs'

const APP = join(ROOT, 'examples', 'nextjs')
const DEV = process.argv.includes('--dev')
const BUILD = !process.argv.includes('--no-build')

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
const server = process.env.DATABASE_URL ? undefined : await startPostgres()
const databaseUrl = process.env.DATABASE_URL ?? server?.url()
await createDatabase()
if (BUILD) await build()
const port = process.env.PORT ?? '3000'
const origin = `http://localhost:${port}`
const app = await serve(...next(APP, [DEV ? 'dev' : 'start', '--port', port]), {
  cwd: APP,
  env: {
    AUTH_SECRET: process.env.AUTH_SECRET ?? crypto.randomUUID() + crypto.randomUUID(),
    AUTH_URL: origin,
    DATABASE_URL: databaseUrl,
    SESSION_SECONDS: process.env.SESSION_SECONDS,
    ABSOLUTE_SESSION_SECONDS: process.env.ABSOLUTE_SESSION_SECONDS,
    MAX_SESSIONS: process.env.MAX_SESSIONS,
  },
  ready: /Ready in/,
  echo: true,
})
console.log(`
The example runs at ${origin} until you press Ctrl+C. Sign in as one of

  ada@acme.example      analytical-engine  (internal: staff of the tenant)
  grace@client.example  nanoseconds        (client: a user of its client portal)
`)
await app.exited
process.exit(1)

async function createDatabase() {
  const database = new pg.Client(databaseUrl)
  await database.connect()
  const { rows } = await database.query(`SELECT to_regclass('sessions') IS NOT NULL AS exists`)
  const files = rows[0].exists ? [] : [join(ROOT, 'schema.sql')]
  for (const file of [...files, join(APP, 'database', 'example.sql'), join(APP, 'database', 'seed.sql')]) {
    await database.query(await readFile(file, 'utf8'))
  }
  await database.end()
}

async function build() {
  console.log('Packing and installing ...')
  await installWithPackage(APP)
  if (DEV) return
  console.log('Building ...')
  await run(...next(APP, ['build']), { cwd: APP })
}
