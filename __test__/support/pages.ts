// The pages of the documentation, and the code in them.

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const ROOT = new URL('../../', import.meta.url)

export interface CodeBlock {
  page: string
  /** What stands behind the opening fence; empty for what a program prints. */
  language: string
  text: string
}

/** The paths of all pages, from the root of the repository. */
export const PAGES = ['README.md', ...documents().map((name) => `docs/${name}`)]

export function read(page: string) {
  return readFileSync(fileURLToPath(new URL(page, ROOT)), 'utf8')
}

/** Blocks in lists are indented; their code is not. */
export function codeBlocks(page: string): CodeBlock[] {
  const blocks = read(page).matchAll(/^(?<indent> *)```(?<language>\w*)\n(?<text>.*?)^\k<indent>```$/gms)
  return [...blocks].map(({ groups: { indent = '', language = '', text = '' } = {} }) => ({
    page,
    language,
    text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }))
}

/** Each statement of a block of SQL. */
export function statements(sql: string) {
  const withoutComments = sql.replaceAll(/^--.*\n/gm, '')
  return withoutComments.split(';').flatMap((statement) => statement.trim() || [])
}

function documents() {
  return readdirSync(fileURLToPath(new URL('docs', ROOT))).filter((name) => name.endsWith('.md'))
}
