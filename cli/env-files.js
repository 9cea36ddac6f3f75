// The check of the .env files, with which the checklist of `authjs-bridge doctor` begins.

/** @typedef {import('./native.js').Check} Check */

/** @param {ReturnType<typeof import('./environment.js').loadEnvironment>} environment @returns {Check} */
function envFiles({ mode, files, loader, dangling, hidden }) {
  const id = 'env-files'
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
  if (problems.length === 0) return { id, status: 'ok', message, details: { mode, files, loader } }
  return {
    ...{ id, status: 'warning' },
    message: [message, ...problems.map(({ found, problem }) => `${places(found)} ${problem}`)].join('; '),
    advice: problems.map(({ advice }) => advice).join('\n'),
    details: { mode, files, loader, dangling, hidden },
  }
}

/** @param {{ file: string, variable: string }[]} found */
function places(found) {
  return found.map(({ file, variable }) => `${variable} in ${file}`).join(', ')
}

module.exports = { envFiles }
