// The types with each augmentation of `Register`. An augmentation counts for a whole program, so each file is one.

import { join } from 'node:path'
import { test } from 'vitest'
import { ROOT, run } from './support/apps.mjs'

/** As in the tsconfig of the other tests. */
const OPTIONS = '--noEmit --strict --target es2023 --module preserve --types node --skipLibCheck'.split(' ')

test.each(['defaults', 'multi-tenant', 'user-check', 'expires', 'extra-claims', 'all'])('%s', async (name) => {
  const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  const file = join(ROOT, '__test__', 'register', `${name}.ts`)
  await run(process.execPath, [compiler, '--ignoreConfig', ...OPTIONS, file], { cwd: ROOT })
})
