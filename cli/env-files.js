// The first check of `authjs-bridge doctor`: the .env files.

/** @typedef {import('./native.js').Check} Check */

/** @param {ReturnType<typeof import('./environment.js').loadEnvironment>} environment @returns {Check} */
function envFiles({ mode, files, loader, dangling, hidden, unread }) {
  const id = 'env-files'
  const read = `${files.length > 0 ? files.join(', ') : 'none'}, as Next.js reads them in ${mode}`
  const message = unread ? `${read}; ${unread}` : read
  const details = { mode, files, loader }
  if (files.length === 0 && unread) {
    return { id, status: 'warning', message, advice: 'Give --production to check with what they hold.', details }
  }
  const problems = [
    {
      found: dangling,
      problem: 'contains a $ before the name of a variable that is not set',
      advice: 'Write \\$ if you mean the character $: Next.js replaces $NAME by the value of NAME, here by nothing.',
    },
    {
      found: hidden,
      problem: 'is ignored: the environment has another value',
      advice: 'Unset it in the shell to use the value of the file.',
    },
  ].filter(({ found }) => found.length > 0)
  if (problems.length === 0) return { id, status: 'ok', message, details }
  return {
    ...{ id, status: 'warning' },
    message: [message, ...problems.map(({ found, problem }) => `${listVariables(found)} ${problem}`)].join('; '),
    advice: problems.map(({ advice }) => advice).join('\n'),
    details: { ...details, dangling, hidden },
  }
}

/** @param {{ file: string, variable: string }[]} found */
function listVariables(found) {
  return found.map(({ file, variable }) => `${variable} in ${file}`).join(', ')
}

module.exports = { envFiles }
