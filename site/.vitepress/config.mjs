// The site is made of README.md and `docs/`, as they are. `npm run docs` builds it into `site/dist`.

import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'
import { sidebar } from './navigation.mjs'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const REPOSITORY = 'https://github.com/authjs-bridge/authjs-bridge'
/** What begins the address of an image in the README, which npm shows, too. */
const RAW = 'https://raw.githubusercontent.com/authjs-bridge/authjs-bridge/main/'

/** Where the site has a page: README.md is the home page, or that of its folder. */
const sitePath = (/** @type {string} */ file) => file.replace(/^docs\//, '').replace(/README\.md$/, 'index.md')

/**
 * The address on the site for a link in a file of the repository: to another page, or on GitHub what is no page.
 *
 * @param {string} href
 * @param {string} file
 */
function siteLink(href, file) {
  if (/^(\w+:|#)/.test(href)) return href
  const [path = '', anchor] = href.split('#')
  const target = join(dirname(file), path)
  if (!/^(docs\/.+|README)\.md$/.test(target)) return `${REPOSITORY}/blob/main/${target}`
  const page = `/${sitePath(target)}`
  return anchor ? `${page}#${anchor}` : page
}

/** @param {import('vitepress').MarkdownRenderer} md */
function linkWithinSite(md) {
  md.core.ruler.push('site-links', ({ tokens, env }) => {
    const file = relative(ROOT, env.realPath ?? env.path)
    for (const token of tokens.flatMap(({ children }) => children ?? [])) {
      const [href, src] = [token.attrGet('href'), token.attrGet('src')]
      if (token.type === 'link_open' && href) token.attrSet('href', siteLink(href, file))
      if (token.type === 'image' && src?.startsWith(RAW)) {
        token.attrSet('src', `./${relative(dirname(file), src.replace(RAW, ''))}`)
      }
    }
  })
}

/** On a phone `theme/style.css` shows a row as a block, and before each cell the heading of its column. */
function labelCells(/** @type {import('vitepress').MarkdownRenderer} */ md) {
  md.core.ruler.push('cell-labels', ({ tokens }) => {
    /** @type {string[]} */
    let headings = []
    let column = 0
    for (const [index, token] of tokens.entries()) {
      if (token.type === 'table_open') headings = []
      if (token.type === 'tr_open') column = 0
      if (token.type === 'th_open') headings.push(tokens[index + 1]?.content.replaceAll('`', '') ?? '')
      if (token.type === 'td_open') token.attrSet('data-label', headings[column++] ?? '')
    }
  })
}

/** Anchors as GitHub makes them of the headings, so that links work in both places. */
function slugify(/** @type {string} */ heading) {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
}

/** Finds Vue for the pages: they are outside of this folder, which has it. */
const vueForPages = {
  name: 'vue-for-pages',
  enforce: 'pre',
  /** @this {import('vite').Rollup.PluginContext} */
  resolveId(/** @type {string} */ id, /** @type {string | undefined} */ importer) {
    if (/^vue(\/|$)/.test(id) && importer?.endsWith('.md')) return this.resolve(id, fileURLToPath(import.meta.url))
  },
}

export default defineConfig({
  title: 'authjs-bridge',
  description: 'Reads Auth.js sessions for Next.js apps in Rust, and asks PostgreSQL whether they still live',
  base: '/authjs-bridge/',
  cleanUrls: true,
  // Without it browsers ask for favicon.ico, which there is not.
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  srcDir: '..',
  srcExclude: ['!(docs|README.md)/**', '!(README).md'],
  outDir: 'dist',
  // Such as http://localhost:3000, where the reader's own app runs.
  ignoreDeadLinks: 'localhostLinks',
  rewrites: sitePath,
  markdown: {
    anchor: { slugify },
    config(md) {
      linkWithinSite(md)
      labelCells(md)
    },
  },
  vite: { plugins: [vueForPages] },
  themeConfig: {
    outline: [2, 3],
    search: { provider: 'local' },
    sidebar: sidebar(),
    socialLinks: [{ icon: 'github', link: REPOSITORY }],
    editLink: { pattern: `${REPOSITORY}/edit/main/:path` },
  },
})
