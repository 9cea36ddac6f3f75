// Reasons and codes have the same names in the native part, in the types, in the command line and in the docs.

import { readFileSync } from 'node:fs'
import { expect, expectTypeOf, test } from 'vitest'
import { REASONS } from '../cli/advice.js'
import type { ErrorCode, RefusalReason, SessionExplanation } from '../index.js'
import { codes, outcomes, reasons, tableRows } from './support/vocabulary.js'

/** TypeScript checks that these are all members of `ErrorCode`. */
const CODES = Object.keys({
  ERR_AUTH_BRIDGE_CONFIG: true,
  ERR_AUTH_BRIDGE_ARGUMENT: true,
  ERR_AUTH_BRIDGE_DATABASE: true,
  ERR_AUTH_BRIDGE_TIMEOUT: true,
  ERR_AUTH_BRIDGE_READ_ONLY: true,
  ERR_AUTH_BRIDGE_OUTCOME_UNKNOWN: true,
  ERR_AUTH_BRIDGE_TOO_MANY_SESSIONS: true,
  ERR_AUTH_BRIDGE_CLOSED: true,
  ERR_AUTH_BRIDGE_INTERNAL: true,
} satisfies Record<ErrorCode, true>)

/** Reasons that `explainSession` alone returns, or that are not refusals. */
const NO_REFUSAL = [
  'live',
  'chunk-gap',
  'stale-chunks',
  'database-token',
  'signed-token',
  'database-unavailable',
] as const

test('the types and the advice have the same reasons', () => {
  expectTypeOf<keyof typeof REASONS>().toEqualTypeOf<SessionExplanation['reason']>()
  expect(Object.keys(REASONS).sort()).toEqual([...reasons].sort())
})

test('the docs and the command line have the same meaning and advice for each reason', () => {
  const withoutLinks = (text = '') => text.replace(/\[([^\]]+)\]\([^)]+\)/g, '$1')
  const documented = tableRows('docs/how-a-request-is-decided.md', 'Reasons').map(([reason, meaning, advice]) => [
    reason,
    { meaning: withoutLinks(meaning), advice: withoutLinks(advice) },
  ])
  expect(documented.length).toBe(reasons.length)
  expect(Object.fromEntries(documented)).toEqual(REASONS)
})

test('the types, the page about errors and the README have the same codes', () => {
  expect(codes).toEqual(CODES)
  expect(tableRows('docs/errors.md', 'Errors').map(([code]) => code)).toEqual(CODES)
  expect(readFileSync(new URL('../README.md', import.meta.url), 'utf8').match(/ERR_AUTH_BRIDGE_\w+/g)).toEqual(CODES)
})

test('stats count the refusals that the types declare', () => {
  expectTypeOf<Exclude<SessionExplanation['reason'], (typeof NO_REFUSAL)[number]>>().toEqualTypeOf<RefusalReason>()
  const isRefusal = (name: string) => !NO_REFUSAL.some((other) => other === name)
  const counted = outcomes.filter(({ isCounted, status }) => isCounted && status === 'unauthenticated')
  expect(counted.map(({ name }) => name)).toEqual(reasons.filter(isRefusal))
})
