// Finds tests that documents name by their file and title.

import { readFileSync } from 'node:fs'

const ROOT = new URL('../../', import.meta.url)

export interface NamedTest {
  /** From the root of the repository. */
  file: string
  title: string
}

/** Whether the file has a test of this title: a function in Rust; else a test, a `describe`, or a row of `test.each`. */
export function isTest({ file, title }: NamedTest) {
  const name = title.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const declared = file.endsWith('.rs')
    ? `#\\[(?:tokio::)?test(?:\\(.*\\))?\\]\\s+(?:async )?fn ${name}\\(`
    : `(?:\\b(?:test|describe)(?:\\.(?:each\\(.+\\)|runIf\\(isMainThread\\)))?\\(|^ *\\[|\\[\\s+|^ +)(['"\`])${name}\\1(?:,|:)`
  return new RegExp(declared, 'm').test(readFileSync(new URL(file, ROOT), 'utf8'))
}
