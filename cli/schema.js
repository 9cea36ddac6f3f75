// `authjs-bridge schema`: prints the SQL of the tables.

const { readFile } = require('node:fs/promises')
const { join } = require('node:path')
const { UsageError } = require('./usage-error.js')

const TOOLS = ['prisma', 'drizzle', 'auth-adapter']

/** @param {{ 'single-tenant'?: boolean, for?: string }} options `for` is the tool that has made the app's own tables */
async function schema({ 'single-tenant': isSingleTenant = false, for: tool }) {
  process.stdout.write(await readFile(join(__dirname, '..', fileOf(isSingleTenant, tool)), 'utf8'))
  return 0
}

/** @param {boolean} isSingleTenant @param {string | undefined} tool */
function fileOf(isSingleTenant, tool) {
  if (tool === undefined) return isSingleTenant ? 'schema/single-tenant.sql' : 'schema.sql'
  if (!TOOLS.includes(tool)) throw new UsageError('--for must be prisma, drizzle or auth-adapter')
  if (isSingleTenant) throw new UsageError('--for prints tables without tenants: leave out --single-tenant')
  return `schema/${tool}.sql`
}

module.exports = { schema }
