#!/usr/bin/env node
// `npx authjs-bridge <command>`: parses the command line, runs the command, sets the exit code.

const { parseArgs } = require('node:util')
const { version } = require('../package.json')
const { describeUnread } = require('./environment.js')
const { formatJson } = require('./terminal.js')
const { UsageError } = require('./usage-error.js')

/** @typedef {NonNullable<import('node:util').ParseArgsConfig['options']>} OptionTypes */
/**
 * The values of the command's own `options`.
 *
 * @typedef {import('./revoke.js').Options & { 'single-tenant'?: boolean, for?: string, notify?: boolean, before?: string, limit?: string }} Options
 */
/**
 * `noArguments` is the message if there are any, `wrongOptions` that for options other than `options`; `run` returns the
 * exit code.
 *
 * @typedef {object} Command
 * @property {string} help
 * @property {string} noArguments
 * @property {OptionTypes} options
 * @property {string} wrongOptions
 * @property {(options: Options) => Promise<number>} run
 */

/** @satisfies {Partial<Command>} */
const OPTIONS_OF_CHECKS = {
  options: { json: { type: 'boolean', default: false }, production: { type: 'boolean', default: false } },
  wrongOptions: 'unknown option; the options are --json, --production and --help',
}

const SCOPE = `  --tenant <id>     the tenant; left out with the option multiTenant: false
  --user <id>       the user`
const LAST_OPTIONS = `  --production      read the .env files as \`next start\` does, not as \`next dev\`; so does NODE_ENV=production
  --help            print this text`
const DASH = 'A value that begins with - is given as --user=VALUE'

/** @type {Record<string, Command>} */
const COMMANDS = {
  doctor: {
    help: `Usage: npx authjs-bridge doctor [--json] [--production]

Checks the environment variables, the .env files that Next.js reads in this folder, and the database. Prints
each check as ok, warning, failed or skipped, with what to do about it. Writes nothing, and shows no secret,
password or session. Options are those in AUTH_BRIDGE_OPTIONS: it can't see what the app passes to new AuthBridge().

  --json        print one JSON object: { ok, mode, checks: [{ id, status, message, advice?, details? }] },
                or { error: { code, message } } if the checks could not start
  --production  read the .env files as \`next start\` does, not as \`next dev\`; so does NODE_ENV=production
  --help        print this text

Exit code: 0 if no check failed, 1 if one failed, 2 for a wrong command line.
Colours: on a terminal, unless NO_COLOR is set; everywhere if FORCE_COLOR is set.
`,
    noArguments: 'doctor takes no arguments',
    ...OPTIONS_OF_CHECKS,
    run: (options) => require('./doctor.js').doctor(options),
  },
  explain: {
    help: `Usage: npx authjs-bridge explain [--json] [--production] < header.txt

Reads the Cookie header of a request from standard input, with or without "Cookie:" before it. Prints why the
request has a session or has none, and what to do about it. It calls explainSession, configured by the
environment variables and the .env files that Next.js reads in this folder. A cookie is as good as a password:
don't pass it as an argument, which would stay in the shell's history. The command never prints it.

  --json        print the SessionExplanation with its advice as one JSON object,
                or { error: { code, message } }
  --production  read the .env files as \`next start\` does, not as \`next dev\`; so does NODE_ENV=production
  --help        print this text

Exit code: 0 if the request is authenticated or unauthenticated, 1 if the database can't be queried or the
configuration is wrong, 2 for a wrong command line.
`,
    noArguments:
      'explain reads the cookie from standard input: arguments stay in the history of the shell and show in the list of processes',
    ...OPTIONS_OF_CHECKS,
    run: (options) => require('./explain.js').explain(options),
  },
  sessions: {
    help: `Usage: npx authjs-bridge sessions --tenant <id> --user <id> [--json] [--production]

Lists the live sessions of a user, the latest activity first, at most 1000. Times are in UTC.

${SCOPE}
  --json            print { sessions: [...] }, each as listSessions returns it; or { error: { code, message } }
${LAST_OPTIONS}

Exit code: 0; 1 if the database can't be queried, if row-level security may hide sessions where none was found, or if the
configuration is wrong; 2 for a wrong command line.
`,
    noArguments: 'sessions takes no arguments, only options',
    options: { ...OPTIONS_OF_CHECKS.options, tenant: { type: 'string' }, user: { type: 'string' } },
    wrongOptions: `unknown option, or one without a value; the options are --tenant, --user, --json, --production and --help. ${DASH}`,
    run: (options) => require('./sessions.js').sessions(options),
  },
  revoke: {
    help: `Usage: npx authjs-bridge revoke --tenant <id> --session <id> (--user <id> | --any-user)
       npx authjs-bridge revoke --tenant <id> --user <id> [--yes]
       npx authjs-bridge revoke --tenant <id> --all-of-tenant [--yes]

Ends one session, all sessions of a user, or all sessions of a tenant. What has ended stays as it is. Before more than
one session ends, it asks. Where there is no terminal to ask on, all of a user or of a tenant need --yes.

${SCOPE}
  --session <id>    end this session, if it is the user's
  --any-user        end the session whosever it is
  --all-of-tenant   end all sessions of the tenant
  --reason <text>   why, for the column revoked_reason
  --yes             don't ask
  --json            print { revoked }, how many sessions were ended; or { error: { code, message } }
${LAST_OPTIONS}

Exit code: 0, also if there was nothing to end; 1 if the answer was not yes, if the database can't be queried or
written, if row-level security may be why nothing was ended, or if the configuration is wrong; 2 for a wrong command line.
`,
    noArguments: 'revoke takes no arguments, only options',
    options: {
      ...OPTIONS_OF_CHECKS.options,
      tenant: { type: 'string' },
      user: { type: 'string' },
      session: { type: 'string' },
      'any-user': { type: 'boolean', default: false },
      'all-of-tenant': { type: 'boolean', default: false },
      reason: { type: 'string' },
      yes: { type: 'boolean', default: false },
    },
    wrongOptions: `unknown option, or one without a value; the options are --tenant, --user, --session, --any-user, --all-of-tenant, --reason, --yes, --json, --production and --help. ${DASH}`,
    run: (options) => require('./revoke.js').revoke(options),
  },
  prune: {
    help: `Usage: npx authjs-bridge prune --before <time> [--limit <number>] [--json] [--production]

Deletes the rows of sessions, of all tenants, that ended before a time: that were revoked or have expired. It goes
through the table once, in small transactions. If it is interrupted, run it again.

  --before <time>   a number of days ago (30d), a day in UTC (2026-01-31), or a time (2026-01-31T12:00:00Z)
  --limit <number>  delete no more than this
  --json            print { deleted, before }; or { error: { code, message } }
${LAST_OPTIONS}

Exit code: 0, also if there was nothing to delete; 1 if the database can't be queried or written, if row-level security
may be why nothing was deleted, or if the configuration is wrong; 2 for a wrong command line.
`,
    noArguments: 'prune takes no arguments, only options',
    options: { ...OPTIONS_OF_CHECKS.options, before: { type: 'string' }, limit: { type: 'string' } },
    wrongOptions:
      'unknown option, or one without a value; the options are --before, --limit, --json, --production and --help',
    run: (options) => require('./prune.js').prune(options),
  },
  schema: {
    help: `Usage: npx authjs-bridge schema [--single-tenant | --for <tool>] [--notify]

Prints the SQL of the tables that a session check reads. Connects to no database: pipe the SQL into psql, or put it
into a migration. With --for it adds sessions to an app whose users are in tables made for Auth.js. That SQL begins
with the options and claims that go with it, ends with the rights that a role needs, and can be run again.

  --single-tenant     tables without tenants, for the option multiTenant: false
  --for prisma        beside the tables that Prisma makes
  --for drizzle       beside the tables that Drizzle makes
  --for auth-adapter  beside the tables that @auth/pg-adapter uses
  --notify            instead of tables, the triggers for the option listen
  --help              print this text

Exit code: 0, or 2 for a wrong command line.
`,
    noArguments: 'schema takes no arguments, only options',
    options: { 'single-tenant': { type: 'boolean' }, for: { type: 'string' }, notify: { type: 'boolean' } },
    wrongOptions:
      'unknown option, or --for without a value; the options are --single-tenant, --for prisma, --for drizzle, --for auth-adapter, --notify and --help',
    run: (options) => require('./schema.js').schema(options),
  },
}
const HELP = `Usage: npx authjs-bridge <command>

  doctor     check the configuration and the database
  explain    say why a request has a session or has none
  sessions   list the live sessions of a user
  revoke     end a session, or all of a user or a tenant
  prune      delete sessions that ended long ago
  schema     print the SQL of the tables

  --help     print this text, or the help of a command
  --version  print the version of this package
`

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code
  },
  (error) => {
    process.stderr.write(`authjs-bridge: ${error.message}\n`)
    process.exitCode = error instanceof UsageError ? 2 : 1
  },
)
// The reader of a pipe may close it early, as `head` does.
process.stdout.on('error', () => process.exit())

/** @param {string[]} args */
async function main([name, ...args]) {
  const command = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (!command) return runWithoutCommand(name)
  const { help, ...options } = parse(args, command)
  if (help) return print(command.help)
  return command.run(options).catch((error) => {
    // What is wrong or missing may be right there.
    const unread = error.code === 'ERR_AUTH_BRIDGE_CONFIG' && describeUnread(process.cwd())
    if (unread) error.message += `; ${unread}`
    if (!options.json || typeof error.code !== 'string') throw error
    print(formatJson({ error: { code: error.code, message: error.message } }))
    return 1
  })
}

/** @param {string | undefined} name never printed, since it may be a cookie in the wrong place */
function runWithoutCommand(name) {
  if (name === '--help' || name === '-h') return print(HELP)
  if (name === '--version') return print(`${version}\n`)
  const problem = name === undefined ? 'the command is missing' : 'unknown command'
  throw new UsageError(`${problem}\n\n${HELP}`)
}

/** @param {string[]} args @param {Command} command */
function parse(args, { noArguments, options, wrongOptions }) {
  const parsed = parseStrictly(args, options, wrongOptions)
  if (parsed.positionals.length > 0) throw new UsageError(noArguments)
  const texts = parsed.tokens.flatMap((token) => (token.kind === 'option' && token.value !== undefined ? [token] : []))
  for (const [index, { name, value }] of texts.entries()) {
    // An unset variable of a script.
    if (value === '') throw new UsageError(`--${name} is empty`)
    // Only the last would count.
    if (texts.slice(0, index).some((other) => other.name === name)) throw new UsageError(`--${name} is given twice`)
  }
  return /** @type {Options & { help: boolean }} */ (/** @type {unknown} */ (parsed.values))
}

/** @param {string[]} args @param {OptionTypes} options @param {string} wrongOptions */
function parseStrictly(args, options, wrongOptions) {
  try {
    /** @type {OptionTypes} */
    const known = { ...options, help: { type: 'boolean', short: 'h', default: false } }
    return parseArgs({ args, allowPositionals: true, tokens: true, options: known })
  } catch {
    // The message of `parseArgs` contains the argument, which may be a cookie.
    throw new UsageError(wrongOptions)
  }
}

/** @param {string} text */
function print(text) {
  process.stdout.write(text)
  return 0
}
