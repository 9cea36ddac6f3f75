// One vocabulary: the ends of a call have the same names in the native part, in the types, in the advice of the command line
// and in the docs.

import { expect, expectTypeOf, test } from 'vitest'
import { REASONS } from '../cli/advice.js'
import type { ErrorCode, RefusalReason, SessionExplanation } from '../index.js'
import { codes, outcomes, reasons, tableRows } from './support/vocabulary.js'

/** TypeScript checks that these are all codes of the types. */
const CODES = Object.keys({
  ERR_AUTH_BRIDGE_CONFIG: true,
  ERR_AUTH_BRIDGE_DATABASE: true,
  ERR_AUTH_BRIDGE_TIMEOUT: true,
  ERR_AUTH_BRIDGE_CLOSED: true,
  ERR_AUTH_BRIDGE_INTERNAL: true,
} satisfies Record<ErrorCode, true>)

/** Only `explainSession` tells these, or they are no refusal. */
const NO_REFUSAL = ['live', 'chunk-gap', 'stale-chunks', 'database-unavailable'] as const

test('reasons are those of the types and of the advice', () => {
  expectTypeOf<keyof typeof REASONS>().toEqualTypeOf<SessionExplanation['reason']>()
  expect(Object.keys(REASONS).sort()).toEqual([...reasons].sort())
})

test('the docs say what each reason means and what to do, as the command line does', () => {
  const withoutLinks = (text = '') => text.replace(/\[([^\]]+)\]\([^)]+\)/g, '$1')
  const documented = tableRows('docs/how-a-request-is-decided.md', 'Reasons').map(([reason, meaning, advice]) => [
    reason,
    { meaning: withoutLinks(meaning), advice: withoutLinks(advice) },
  ])
  expect(documented.length).toBe(reasons.length)
  expect(Object.fromEntries(documented)).toEqual(REASONS)
})

test('codes are those of the types and of the README', () => {
  expect(codes).toEqual(CODES)
  expect(tableRows('README.md', 'Errors').map(([code]) => code)).toEqual(CODES)
})

test('stats count the refusals of the types', () => {
  expectTypeOf<Exclude<SessionExplanation['reason'], (typeof NO_REFUSAL)[number]>>().toEqualTypeOf<RefusalReason>()
  const isRefusal = (name: string) => !NO_REFUSAL.some((other) => other === name)
  const counted = outcomes.filter(({ isCounted, status }) => isCounted && status === 'unauthenticated')
  expect(counted.map(({ name }) => name)).toEqual(reasons.filter(isRefusal))
})
