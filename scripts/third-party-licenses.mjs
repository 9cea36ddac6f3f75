// Writes THIRD-PARTY-LICENSES, which goes into each platform package: what is linked into the native part, and the texts of
// the licences.
//
//   node scripts/third-party-licenses.mjs

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isOpensslSource, linkedCrates, opensslVersion } from './crates.mjs'

const FILE = fileURLToPath(new URL('../THIRD-PARTY-LICENSES', import.meta.url))
const RULE = '-'.repeat(80)
const HEAD = `What the native part of authjs-bridge is made of besides its own source, and under which licences.
Where there is a choice of licences, the one that stands here is taken.
Made by: node scripts/third-party-licenses.mjs`

/** Which of a crate's files is taken, the best first. */
const PREFERRED = [/^licen[cs]e-mit/i, /^(licen[cs]e|copying)(\.(md|txt))?$/i, /^licen[cs]e[-.]/i]
/** Goes with any licence. */
const NOTICE = /^notice/i

/** @typedef {import('./crates.mjs').Crate} Crate */

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(FILE, thirdPartyLicenses())

/** @returns {string} */
export function thirdPartyLicenses() {
  const parts = linkedCrates().flatMap((crate) => [
    { name: `${crate.name} ${crate.version}`, text: licenseOf(crate) },
    ...(isOpensslSource(crate) ? [openssl(crate)] : []),
  ])
  parts.push({ name: 'Rust standard library', text: mit('The Rust Project Contributors') })

  /** @type {Map<string, string[]>} */
  const names = new Map()
  for (const { name, text } of parts) names.set(text, [...(names.get(text) ?? []), name])
  const sections = [...names].map(([text, names]) => `${RULE}\n${names.join('\n')}\n${RULE}\n\n${text}`)
  return `${[HEAD, ...sections].join('\n\n')}\n`
}

/** @param {Crate} source */
function openssl(source) {
  const text = normalized(readFileSync(join(dirname(source.manifest_path), 'openssl', 'LICENSE.txt'), 'utf8'))
  return { name: `OpenSSL ${opensslVersion(source)}`, text }
}

/** @param {Crate} crate */
function licenseOf({ name, license, authors, manifest_path }) {
  const folder = dirname(manifest_path)
  const files = readdirSync(folder).sort()
  const best = PREFERRED.flatMap((pattern) => files.filter((file) => pattern.test(file)))[0]
  if (best) {
    const taken = [best, ...files.filter((file) => NOTICE.test(file))]
    return taken.map((file) => normalized(readFileSync(join(folder, file), 'utf8'))).join('\n\n')
  }
  if (!license.split(' OR ').includes('MIT')) throw new Error(`${name} has no text of its licence, ${license}`)
  return mit(authors.join(', ') || `the authors of ${name}`)
}

/** @param {string} text */
function normalized(text) {
  return text.replaceAll('\r\n', '\n').trim()
}

/** @param {string} holder */
function mit(holder) {
  return `The MIT License (MIT)

Copyright (c) ${holder}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE,
ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`
}
