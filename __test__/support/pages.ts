// Reads the pages of the documentation, and their code blocks.

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const ROOT = new URL('../../', import.meta.url)

export interface CodeBlock {
  page: string
  /** The language of the opening fence; empty for the output of a program. */
  language: string
  text: string
}

/** The paths of all pages, from the root of the repository. */
export const PAGES = ['README.md', ...documents().map((name) => `docs/${name}`)]

export function read(page: string) {
  return readFileSync(fileURLToPath(new URL(page, ROOT)), 'utf8')
}

/** The code blocks of a page. The indentation of blocks in lists is removed. */
export function codeBlocks(page: string): CodeBlock[] {
  const blocks = read(page).matchAll(/^(?<indent> *)```(?<language>\w*)\n(?<text>.*?)^\k<indent>```$/gms)
  return [...blocks].map(({ groups: { indent = '', language = '', text = '' } = {} }) => ({
    page,
    language,
    text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }))
}

/** The statements in a block of SQL. */
export function statements(sql: string) {
  const withoutComments = sql.replaceAll(/^--.*\n/gm, '')
  return withoutComments.split(';').flatMap((statement) => statement.trim() || [])
}

function documents() {
  return readdirSync(fileURLToPath(new URL('docs', ROOT))).filter((name) => name.endsWith('.md'))
}
