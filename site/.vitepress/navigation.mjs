// The groups of the navigation, and their pages: file names below `docs/`. A page's title is its first heading.

import { readdirSync, readFileSync } from 'node:fs'

const DOCS = new URL('../../docs/', import.meta.url)
const SECURITY_POLICY = 'https://github.com/authjs-bridge/authjs-bridge/blob/main/SECURITY.md'

/** All pages, but the README. */
const PAGES = readdirSync(DOCS, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .sort()

/** @type {Record<string, string[]>} */
const GROUPS = {
  Start: ['getting-started.md'],
  Move: ['moving-from-authjs.md', 'moving-from-database-sessions.md', 'moving-from-next-auth-4.md'],
  Use: [
    'reading.md',
    'rolling.md',
    'sessions.md',
    'claims-and-tables.md',
    'caching.md',
    'next-auth.md',
    'nextjs.md',
    'frameworks.md',
  ],
  Operate: ['troubleshooting.md', 'operating.md', 'command-line.md', 'platforms.md'],
  Security: ['hardening.md', 'supply-chain.md'],
  Understand: ['how-a-request-is-decided.md', 'differences.md', 'performance.md', 'architecture.md'],
  Decisions: PAGES.filter((page) => page.startsWith('decisions/')),
  Reference: ['configuration.md', 'errors.md', 'api.md'],
}

/** The sidebar of VitePress. */
export function sidebar() {
  const groups = Object.entries(GROUPS).filter(([, pages]) => pages.length > 0)
  return groups.map(([text, pages]) => {
    const policy = text === 'Security' ? [{ text: 'Threat model', link: SECURITY_POLICY }] : []
    return { text, items: [...policy, ...pages.map(item)], collapsed: text === 'Decisions' || undefined }
  })
}

/** The pages that the navigation lacks, and its entries that are no page. */
export function unmatched() {
  const entries = Object.values(GROUPS).flat()
  return [...PAGES.filter((page) => !entries.includes(page)), ...entries.filter((page) => !PAGES.includes(page))]
}

/** @param {string} page */
function item(page) {
  const [, text = page] = readFileSync(new URL(page, DOCS), 'utf8').match(/^# (.+)$/m) ?? []
  return { text, link: `/${page.replace(/(README)?\.md$/, '')}` }
}
