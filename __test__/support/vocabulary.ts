// All outcomes of a call, from the native part: the reasons of `explainSession` and the codes of errors.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { ErrorCode, SessionExplanation } from '../../index.js'

type Status = SessionExplanation['status']
type Outcome = [name: SessionExplanation['reason'] | ErrorCode, status: Status, isCounted: boolean]

const binding: { outcomes(): Outcome[] } = createRequire(import.meta.url)('../../native.js').loadNative()

export const outcomes = binding.outcomes().map(([name, status, isCounted]) => ({ name, status, isCounted }))
const names: string[] = outcomes.map(({ name }) => name)
/** The reasons of `explainSession`. */
export const reasons = names.filter((name) => !name.startsWith('ERR_'))
/** The codes of errors. */
export const codes = names.filter((name) => name.startsWith('ERR_'))

/** The cells of the table below a heading of a Markdown file, without backquotes around the first cell. */
export function tableRows(file: string, heading: string) {
  const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
  const [, section = ''] = text.split(`\n## ${heading}\n`)
  const rows =
    section
      .trim()
      .split('\n\n')
      .find((block) => block.startsWith('|'))
      ?.split('\n')
      .slice(2) ?? []
  return rows.map((row) => {
    const [first = '', ...rest] = row.replace(/^\| | \|$/g, '').split(' | ')
    return [first.replace(/^`(.+)`$/, '$1'), ...rest]
  })
}
