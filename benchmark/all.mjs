// Runs all benchmarks that have contestants, one after another, and writes what they print into results/report.md.
//
//   npm run bench:all

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describeMachine } from './report.mjs'

/** @type {[title: string, file: string, ...args: string[]][]} */
const BENCHMARKS = [
  ['A session check', 'session-check.mjs'],
  ['A database that is further away, or slow at times', 'session-check.mjs', '--network'],
  ['Keeping sessions alive', 'refresh.mjs', '--rounds=9'],
  ['Fresh claims, and ids of text', 'claims.mjs', '--rounds=9'],
  ['Answers that are kept', 'cache.mjs', '--rounds=9'],
  ['How soon a revocation counts elsewhere', 'listen.mjs'],
  ['A guarded page of Next.js', 'page.mjs'],
]
const REPORT = new URL('results/report.md', import.meta.url)

const { cpu, cores, memoryGiB, platform } = describeMachine()
const parts = [
  '# All benchmarks\n',
  `One run of \`npm run bench:all\`, ${new Date().toISOString().slice(0, 10)}, on ${cores} x ${cpu}, ${memoryGiB} GiB, ${platform},
Node.js ${process.versions.node}; the database is on the same machine. [What each does more or less](../README.md#contestants).\n`,
]
for (const [title, file, ...args] of BENCHMARKS) {
  const output = await run(file, args)
  parts.push(`## ${title}\n\n\`node benchmark/${[file, ...args].join(' ')}\`\n\n\`\`\`\n${output}\n\`\`\`\n`)
  await writeFile(REPORT, parts.join('\n'))
}

/** Shows what the benchmark prints, and returns it without its progress. @param {string} file @param {string[]} args */
async function run(file, args) {
  const path = fileURLToPath(new URL(file, import.meta.url))
  const child = spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (chunk) => {
    process.stdout.write(chunk)
    output += chunk
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${file} ended with ${code}`)
  return output.replaceAll(/^(warm-up|round \d+ of \d+|wrote .*)\n/gm, '').trim()
}
