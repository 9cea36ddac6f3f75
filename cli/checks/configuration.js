// What the environment says.

const { failed, ok, warning } = require('./check.js')

/** @typedef {import('../native.js').Configuration} Configuration */

/** @param {ReturnType<typeof import('../environment.js').loadEnvironment>} environment */
function envFiles({ mode, files, loader, dangling, hidden }) {
  const message = `${files.length > 0 ? files.join(', ') : 'none'}, as Next.js reads them in ${mode}`
  const problems = [
    {
      found: dangling,
      problem: 'holds a $ that stands for a variable which is not set',
      advice: 'Write \\$ for a $ that is meant as it is: Next.js leaves out the word behind it.',
    },
    {
      found: hidden,
      problem: 'does not count: the environment has another value',
      advice: 'Unset it in the shell, or leave it as it is if the file is not meant to count here.',
    },
  ].filter(({ found }) => found.length > 0)
  if (problems.length === 0) return ok('env-files', { message, details: { mode, files, loader } })
  return warning('env-files', {
    message: [message, ...problems.map(({ found, problem }) => `${places(found)} ${problem}`)].join('; '),
    advice: problems.map(({ advice }) => advice).join('\n'),
    details: { mode, files, loader, dangling, hidden },
  })
}

/** @param {{ file: string, variable: string }[]} found */
function places(found) {
  return found.map(({ file, variable }) => `${variable} in ${file}`).join(', ')
}

/** @param {Configuration} configuration */
function secrets({ secrets, warnings }) {
  if (secrets.Err) {
    return failed('secrets', {
      message: 'none is set',
      advice: 'Set AUTH_SECRET to the one that Auth.js has. For a new one: npx auth secret',
    })
  }
  const message = secrets.Ok.map(({ variable, bytes }) => `${variable} (${bytes} bytes)`).join(', ')
  if (warnings.length === 0) return ok('secrets', { message, details: secrets.Ok })
  return warning('secrets', { message, advice: sentences(warnings), details: secrets.Ok })
}

/** @param {Configuration} configuration */
function cookies({ cookies, isProduction }) {
  if (cookies.Err) {
    return failed('cookies', {
      message: cookies.Err.message,
      advice: 'Set AUTH_URL to the address of the app, with https:// in production.',
    })
  }
  const { names, because } = cookies.Ok
  const unset = 'neither AUTH_URL nor NEXTAUTH_URL is set'
  const [preferred, other] = names
  const message = {
    url: `${preferred}, by the scheme of ${because.variable}`,
    production: `${preferred}, since NODE_ENV is production and ${unset}`,
    nothing: `${preferred} if a request has it, else ${other}, since ${unset}`,
  }[because.reason]
  const isPlain = names.every((name) => !name.startsWith('__Secure-'))
  if (!isProduction || !isPlain) return ok('cookies', { message, details: cookies.Ok })
  return warning('cookies', {
    message: `${message}, in production`,
    advice: `Set ${because.variable} to the https:// address of the app, unless it has none: over https another cookie counts.`,
    details: cookies.Ok,
  })
}

/** @param {import('../native.js').Diagnosis['database']} database */
function databaseUrl(database) {
  if (database.Err) {
    return failed('database-url', {
      message: database.Err.message,
      advice: 'It looks like DATABASE_URL=postgres://user:password@host:5432/database?sslmode=verify-full',
    })
  }
  const { target } = database.Ok
  const parts = [
    target.hosts,
    ...(target.database ? [`database ${target.database}`] : []),
    ...(target.user ? [`user ${target.user}`] : []),
    ...(target.schema ? [`schema ${target.schema}`] : []),
  ]
  return ok('database-url', { message: `${target.variables.join(', ')}: ${parts.join(', ')}`, details: target })
}

/** @param {{ message: string }[]} mistakes */
function sentences(mistakes) {
  return mistakes.map(({ message }) => `${message[0]?.toUpperCase()}${message.slice(1)}.`).join('\n')
}

module.exports = { cookies, databaseUrl, envFiles, secrets }
