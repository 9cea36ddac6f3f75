// The types with each augmentation of `Register`. An augmentation counts for a whole program, so each file is one.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'vitest'
import { ROOT, run } from './support/apps.mjs'

/** As in the tsconfig of the other tests. */
const OPTIONS = '--noEmit --strict --target es2023 --module preserve --types node --skipLibCheck'.split(' ')

const folder = join(ROOT, '__test__', 'register')
const files = readdirSync(folder)

test.each(files)('%s', async (name) => {
  const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  await run(process.execPath, [compiler, '--ignoreConfig', ...OPTIONS, join(folder, name)], { cwd: ROOT })
})
