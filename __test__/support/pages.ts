// Reads the pages of the documentation, and their code blocks.

import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import manifest from '../../package.json' with { type: 'json' }

const ROOT = new URL('../../', import.meta.url)

/** What begins a link to a file of the repository, so that it also leads somewhere from where that file is not. */
const REPOSITORY = [
  manifest.homepage.replace('#readme', '/(?:blob|tree)/main/'),
  manifest.homepage.replace('github.com', 'raw.githubusercontent.com').replace('#readme', '/main/'),
].join('|')

export interface CodeBlock {
  page: string
  /** The language of the opening fence; empty for the output of a program. */
  language: string
  text: string
}

/** The paths of all pages, from the root of the repository. */
export const PAGES = ['README.md', ...documents().map((name) => `docs/${name}`)]

/** All Markdown of the repository. */
export function markdown() {
  const paths = execFileSync('git', ['ls-files', '*.md'], { cwd: fileURLToPath(ROOT), encoding: 'utf8' })
  return paths.trim().split('\n')
}

/** Links of a page that lead nowhere: to no file below `folder`, to none of the repository, or to no heading of a page. */
export function brokenLinks(page: string, folder = fileURLToPath(ROOT)) {
  const links = readFileSync(join(folder, page), 'utf8').matchAll(/\]\(([^)#]*)(?:#([^)]+))?\)/g)
  return [...links].flatMap(([, address = '', anchor]) => {
    const link = anchor ? `${address}#${anchor}` : address
    const [, path] = address.match(new RegExp(`^(?:${REPOSITORY})(.+)`)) ?? []
    if (!path && /^https?:/.test(address)) return []
    const target = path
      ? fileURLToPath(new URL(path, ROOT))
      : join(folder, address ? join(dirname(page), address) : page)
    return existsSync(target) && (!anchor || anchors(target).includes(anchor)) ? [] : link
  })
}

/** As GitHub makes them of the headings. */
function anchors(file: string) {
  const headings = [...readFileSync(file, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading.toLowerCase(),
  )
  return headings.map((heading) => heading.replaceAll(/[^\w\- ]/g, '').replaceAll(' ', '-'))
}

export function read(page: string) {
  return readFileSync(fileURLToPath(new URL(page, ROOT)), 'utf8')
}

/** The code blocks of a page. The indentation of blocks in lists is removed. */
export function codeBlocks(page: string): CodeBlock[] {
  return blocksOf(read(page)).map((block) => ({ page, ...block }))
}

/** The code blocks of a part of a page. */
export function blocksOf(text: string): Omit<CodeBlock, 'page'>[] {
  const blocks = text.matchAll(/^(?<indent> *)```(?<language>\w*)\n(?<text>.*?)^\k<indent>```$/gms)
  return [...blocks].map(({ groups: { indent = '', language = '', text = '' } = {} }) => ({
    language,
    text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }))
}

/** The text below a heading of the second level. */
export function section(page: string, heading: string) {
  const [, text] = read(page).split(`\n## ${heading}\n`)
  if (text === undefined) throw new Error(`${page} has no ${heading}`)
  return text.split('\n## ')[0] ?? ''
}

/** The statements in a block of SQL. */
export function statements(sql: string) {
  const withoutComments = sql.replaceAll(/^--.*\n/gm, '')
  return withoutComments.split(';').flatMap((statement) => statement.trim() || [])
}

function documents() {
  return readdirSync(fileURLToPath(new URL('docs', ROOT))).filter((name) => name.endsWith('.md'))
}
