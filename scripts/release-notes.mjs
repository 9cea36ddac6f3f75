// Prints the changelog's section for a release. Fails unless the tag, the versions of the package and the crate, and the
// changelog agree.
//
//   node scripts/release-notes.mjs v1.2.3

import { readFileSync } from 'node:fs'

const tag = process.argv[2] ?? ''
const version = tag.replace(/^v/, '')

expectVersion('package.json', JSON.parse(read('package.json')).version)
expectVersion('package-lock.json', JSON.parse(read('package-lock.json')).version)
expectVersion('Cargo.toml', /^version = "(.+)"$/m.exec(read('Cargo.toml'))?.[1])

const sections = read('CHANGELOG.md').split(/^## /m).slice(1)
const section = sections.find((text) => /^\[?(?<version>[^\s\]]+)/.exec(text)?.groups?.version === version)
if (!section) fail(`CHANGELOG.md has no section for ${version}`)
const notes = section.slice(section.indexOf('\n')).trim()
if (!notes) fail(`CHANGELOG.md has an empty section for ${version}`)
console.log(notes)

/** @param {string} file */
function read(file) {
  return readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')
}

/** @param {string} file @param {string | undefined} found */
function expectVersion(file, found) {
  if (found !== version) fail(`The tag is ${tag}, but the version in ${file} is ${found}`)
}

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(message)
  process.exit(1)
}
