// Compiles the TypeScript of the documentation in an app that has its imports: this package, Next.js, Auth.js, pg.

import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { installWithPackage, ROOT, run } from '../support/apps.mjs'
import { codeBlocks, PAGES } from '../support/pages.js'

/** What the examples import and the app doesn't have: packages, of which the clouds' take 20 MB, and modules of the reader's own. */
const IMPORTED = `
declare module '@aws-sdk/rds-signer' {
  export class Signer {
    constructor(configuration: { hostname: string; port: number; username: string; region?: string })
    getAuthToken(): Promise<string>
  }
}
declare module '@azure/identity' {
  export class DefaultAzureCredential {
    getToken(scopes: string | string[]): Promise<{ token: string; expiresOnTimestamp: number }>
  }
}
declare module '@auth/pg-adapter' {
  export default function PostgresAdapter(client: import('pg').Pool): import('next-auth/adapters').Adapter
}
declare module '@/lib/auth-config' {
  export const config: import('next-auth').NextAuthConfig
  export const identify: NonNullable<import('authjs-bridge/next-auth').WithSessionsOptions['identify']>
}
declare module '@/lib/take-over' {
  export function takeOver(request: import('next/server').NextRequest): Promise<Response | undefined>
}
`

test('every block of TypeScript has the right types', async () => {
  const app = await mkdtemp(join(tmpdir(), 'authjs-bridge-docs-'))
  onTestFinished(() => rm(app, { recursive: true }))
  await cp(join(ROOT, 'examples', 'nextjs'), app, {
    recursive: true,
    filter: (path) => !/node_modules|\.next$/.test(path),
  })
  await installWithPackage(app)

  // Those of the API page are parts of the types themselves.
  const pages = PAGES.filter((page) => page !== 'docs/api.md')
  const blocks = pages.flatMap(codeBlocks).filter(({ language }) => /^tsx?$/.test(language))
  expect(blocks.length).toBeGreaterThanOrEqual(20)
  const files = blocks.map(({ page, language, text }, index) => {
    // `.ts`, also for what the page calls `.d.ts`: TypeScript checks no declarations of an app.
    return { page, text, name: `${page.replaceAll(/\W/g, '-')}-${index}.${language}` }
  })
  for (const { name, text } of files) await writeFile(join(app, name), text)
  await writeFile(join(app, 'imported.d.ts'), IMPORTED)

  // An augmentation counts for a whole program, so a page that has one is a program of its own.
  const augmented = new Set(files.flatMap(({ page, text }) => (text.includes('declare module') ? page : [])))
  const programs = [pages.filter((page) => !augmented.has(page)), ...[...augmented].map((page) => [page])]
  expect([...augmented].sort()).toEqual(['docs/claims-and-tables.md', 'docs/moving-from-database-sessions.md'])
  for (const program of programs) {
    const names = files.flatMap(({ page, name }) => (program.includes(page) ? name : []))
    const tsconfig = {
      extends: './tsconfig.json',
      compilerOptions: { incremental: false },
      include: [],
      files: [...names, 'imported.d.ts'],
    }
    await writeFile(join(app, 'tsconfig.docs.json'), JSON.stringify(tsconfig))
    await run(join(app, 'node_modules', '.bin', 'tsc'), ['--project', 'tsconfig.docs.json'], { cwd: app })
  }
})
