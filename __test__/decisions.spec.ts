// The record of decisions is complete, has one form, and names tests that exist. docs.spec.ts checks its links.

import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { isTest } from './support/named-tests.js'
import { read, section } from './support/pages.js'

const FOLDER = 'docs/decisions'
const path = (file: string) => fileURLToPath(new URL(`../${file}`, import.meta.url))
const names = readdirSync(path(FOLDER)).filter((name) => name !== 'README.md')
const pages = names.map((name) => `${FOLDER}/${name}`)

const title = (page: string) => /^# (.+)\n/.exec(read(page))?.[1]

test('the list has each page once, under its title', () => {
  const listed = [...read(`${FOLDER}/README.md`).matchAll(/^- \[(.+)\]\((.+)\): .+$/gm)]
  expect(listed.map(([, text, name]) => [name, text]).sort()).toEqual(
    names.map((name) => [name, title(`${FOLDER}/${name}`)]).sort(),
  )
})

test('the architecture leads to the list', () => {
  expect(section('docs/architecture.md', 'Decisions')).toContain(`/${FOLDER}/README.md)`)
})

test.each(pages)('%s has the form of a decision', (page) => {
  const headings = [...read(page).matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)
  expect(headings).toEqual(['Question', 'Decision', 'Alternatives', 'Decide anew if', 'Source', 'Guarded by'])
  const lines = read(page).trimEnd().split('\n').length
  expect(lines).toBeGreaterThanOrEqual(20)
  expect(lines).toBeLessThanOrEqual(45)
})

test.each(pages)('%s names files that exist', (page) => {
  const files = [...section(page, 'Source').matchAll(/`([\w./-]+\/[\w./-]+)`/g)].map(([, file = '']) => file)
  expect(files).not.toEqual([])
  expect(files.filter((file) => !existsSync(path(file)))).toEqual([])
})

test.each(pages)('%s names tests that exist', (page) => {
  const guards = [...section(page, 'Guarded by').matchAll(/^- \[`(.+?)`\]\(.+?\): (.+)$/gm)]
  const named = guards.flatMap(([, file = '', titles = '']) =>
    [...titles.matchAll(/`([^`]+)`/g)].map(([, title = '']) => ({ file, title })),
  )
  expect(named).not.toEqual([])
  expect(named.filter((test) => !isTest(test))).toEqual([])
})
