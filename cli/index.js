#!/usr/bin/env node
// `npx authjs-bridge <command>`: parses the command line, runs the command, sets the exit code.

const { parseArgs } = require('node:util')
const { version } = require('../package.json')
const { UsageError } = require('./usage-error.js')

/** @typedef {NonNullable<import('node:util').ParseArgsConfig['options']>} OptionTypes */
/** @typedef {{ json: boolean, production: boolean, 'single-tenant'?: boolean, for?: string }} Options */
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
  schema: {
    help: `Usage: npx authjs-bridge schema [--single-tenant | --for <tool>]

Prints the SQL of the tables that a session check reads. Connects to no database: pipe the SQL into psql, or put it
into a migration. With --for it adds sessions to an app whose users are in tables made for Auth.js. That SQL begins
with the options and claims that go with it, ends with the rights that a role needs, and can be run again.

  --single-tenant     tables without tenants, for the option multiTenant: false
  --for prisma        beside the tables that Prisma makes
  --for drizzle       beside the tables that Drizzle makes
  --for auth-adapter  beside the tables that @auth/pg-adapter uses
  --help              print this text

Exit code: 0, or 2 for a wrong command line.
`,
    noArguments: 'schema takes no arguments, only options',
    options: { 'single-tenant': { type: 'boolean' }, for: { type: 'string' } },
    wrongOptions:
      'unknown option, or --for without a value; the options are --single-tenant, --for prisma, --for drizzle, --for auth-adapter and --help',
    run: (options) => require('./schema.js').schema(options),
  },
}
const HELP = `Usage: npx authjs-bridge <command>

  doctor     check the configuration and the database
  explain    say why a request has a session or has none
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
    if (!options.json || typeof error.code !== 'string') throw error
    print(`${JSON.stringify({ error: { code: error.code, message: error.message } }, null, 2)}\n`)
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
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...options, help: { type: 'boolean', short: 'h', default: false } },
    })
    if (positionals.length === 0) return /** @type {Options & { help: boolean }} */ (/** @type {unknown} */ (values))
  } catch {
    // The message of `parseArgs` contains the argument, which may be a cookie.
    throw new UsageError(wrongOptions)
  }
  throw new UsageError(noArguments)
}

/** @param {string} text */
function print(text) {
  process.stdout.write(text)
  return 0
}
