// `authjs-bridge schema`: prints the SQL of the tables.

const { readFile } = require('node:fs/promises')
const { join } = require('node:path')
const { UsageError } = require('./usage-error.js')

/** The tables of users that the tools make, as SQL. */
const USERS = new Map([
  ['prisma', 'public."User"'],
  ['drizzle', 'public."user"'],
  ['auth-adapter', 'public.users'],
])

/** @param {{ 'single-tenant'?: boolean, for?: string, notify?: boolean }} options `for` is the tool that has made the app's own tables */
async function schema({ 'single-tenant': isSingleTenant = false, for: tool, notify = false }) {
  const users = tool === undefined ? undefined : USERS.get(tool)
  if (tool !== undefined && !users) throw new UsageError('--for must be prisma, drizzle or auth-adapter')
  if (tool && isSingleTenant) throw new UsageError('--for prints tables without tenants: leave out --single-tenant')
  const tables = tool ? `schema/${tool}.sql` : isSingleTenant ? 'schema/single-tenant.sql' : 'schema.sql'
  process.stdout.write(notify ? await notifications(users) : await read(tables))
  return 0
}

/** @param {string | undefined} users the table of a tool, beside which the sessions are in `authjs_bridge` */
async function notifications(users) {
  const sql = await read('schema/notify.sql')
  if (!users) return sql
  return sql.replace(
    /^SELECT authjs_bridge\.watch\([\s\S]*/m,
    `SELECT authjs_bridge.watch('authjs_bridge.sessions', 'sessions', 'session_id', 'user_id', 'revoked_at');
SELECT authjs_bridge.watch('${users}', 'users', 'id', 'name', 'email', 'image');
`,
  )
}

/** @param {string} file */
function read(file) {
  return readFile(join(__dirname, '..', file), 'utf8')
}

module.exports = { schema }
