#!/usr/bin/env node
// `npx authjs-bridge <command>`: what the command line says and how the process ends.

const { parseArgs } = require('node:util')
const { version } = require('../package.json')
const { UsageError } = require('./usage-error.js')

/** @typedef {{ json: boolean, production: boolean }} Options */
/** @type {Record<string, { help: string, refusal: string, run: (options: Options) => Promise<number> }>} */
const COMMANDS = {
  doctor: {
    help: `Usage: npx authjs-bridge doctor [--json] [--production]

Reads the environment, with the .env files that Next.js reads in this folder, looks into the database, and
prints a list of checks: each ok, warning, failed or skipped, with what to do about it. Nothing is written,
and no secret, password or session is shown. Options that the app passes to new AuthBridge() are not seen.

  --json        one JSON object: { ok, mode, checks: [{ id, status, message, advice?, details? }] },
                or { error: { code, message } } where nothing could be looked into
  --production  as \`next start\` reads the files, not \`next dev\`; NODE_ENV=production does the same
  --help        this text

Exit code: 0 where nothing is broken, 1 where something is, 2 for a wrong command line.
Colours on a terminal only, and not where NO_COLOR is set; FORCE_COLOR asks for them anywhere.
`,
    refusal: 'doctor takes no arguments',
    run: (options) => require('./doctor.js').doctor(options),
  },
  explain: {
    help: `Usage: npx authjs-bridge explain [--json] [--production] < header.txt

Reads the value of a request's Cookie header from standard input, with or without "Cookie:" before it, and
prints why the request has or has no session, and what to do about it: the answer of explainSession, with the
configuration of the environment and of the .env files that Next.js reads in this folder. A cookie is as good
as a password: it is not taken from the arguments, which stay in the shell's history, and is never shown.

  --json        the SessionExplanation with its advice as one JSON object, or { error: { code, message } }
  --production  as \`next start\` reads the files, not \`next dev\`; NODE_ENV=production does the same
  --help        this text

Exit code: 0 for an answer, authenticated or unauthenticated; 1 where the database can't be asked or the
configuration is wrong; 2 for a wrong command line.
`,
    refusal:
      'explain takes the cookie from standard input: arguments stay in the history of the shell, and show in the list of processes',
    run: (options) => require('./explain.js').explain(options),
  },
}
const HELP = `Usage: npx authjs-bridge <command>

  doctor     checks configuration and database, and says what to do
  explain    says why a request has or has no session

  --help     this text, or with a command that command's
  --version  the version of this package
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
// Whoever reads the output may have read enough.
process.stdout.on('error', () => process.exit())

/** @param {string[]} args */
async function main([name, ...args]) {
  const command = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (!command) return withoutCommand(name)
  const { help, ...options } = parse(args, command.refusal)
  if (help) return print(command.help)
  return command.run(options).catch((error) => {
    if (!options.json || typeof error.code !== 'string') throw error
    print(`${JSON.stringify({ error: { code: error.code, message: error.message } }, null, 2)}\n`)
    return 1
  })
}

/** @param {string | undefined} name not repeated, since it may be a cookie that was put in the wrong place */
function withoutCommand(name) {
  if (name === '--help' || name === '-h') return print(HELP)
  if (name === '--version') return print(`${version}\n`)
  const problem = name === undefined ? 'a command is missing' : 'this is not a command'
  throw new UsageError(`${problem}\n\n${HELP}`)
}

/** @param {string[]} args @param {string} refusal */
function parse(args, refusal) {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        production: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (positionals.length === 0) return /** @type {Options & { help: boolean }} */ (values)
  } catch {
    // Its message would repeat the argument.
    throw new UsageError('an option is not known; the options are --json, --production and --help')
  }
  throw new UsageError(refusal)
}

/** @param {string} text */
function print(text) {
  process.stdout.write(text)
  return 0
}
