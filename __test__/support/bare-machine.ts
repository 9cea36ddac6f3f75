import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The tools of a container with Node.js, without any build tools. */
const TOOLS = ['env', 'node', 'npm', 'npx', 'rm', 'sh']
/** Further package managers. */
const MANAGERS = ['pnpm', 'yarn', 'bun']

/** Simulates a machine without compilers, whose npm uses this registry only and has an empty cache. */
export async function bareMachine(registry: string) {
  const home = await realpath(await mkdtemp(join(tmpdir(), 'authjs-bridge-install-')))
  const path = join(home, 'bin')
  await mkdir(path)
  for (const tool of TOOLS)
    await symlink(await realpath(tool === 'node' ? process.execPath : which(tool)), join(path, tool))
  const bin = join(import.meta.dirname, '..', '..', 'node_modules', '.bin')
  for (const manager of MANAGERS) await symlink(await realpath(join(bin, manager)), join(path, manager))
  const environment = {
    PATH: path,
    HOME: home,
    npm_config_registry: registry,
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_update_notifier: 'false',
    // That of root is not in its home.
    YARN_CACHE_FOLDER: join(home, '.yarn-cache'),
  }

  /** Runs a command to its end, even if it fails. Asynchronous, since the registry runs in this process. */
  async function run(cwd: string, command: string, args: string[], env: Record<string, string> = {}) {
    const cache = { npm_config_cache: join(cwd, '.npm') }
    const child = spawn(command, args, { cwd, env: { ...environment, ...cache, ...env }, timeout: 50_000 })
    let output = ''
    child.stdout.on('data', (chunk) => (output += chunk))
    child.stderr.on('data', (chunk) => (output += chunk))
    const [code] = await once(child, 'close')
    return { code, output: output.trimEnd() }
  }

  return {
    environment,
    run,
    /** Runs a command that must succeed, and returns its output. */
    async succeed(cwd: string, command: string, args: string[], env: Record<string, string> = {}) {
      const { code, output } = await run(cwd, command, args, env)
      if (code !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${output}`)
      return output
    },
    async emptyFolder(name: string) {
      const folder = join(home, name)
      await mkdir(folder)
      await writeFile(join(folder, 'package.json'), '{ "private": true }')
      return folder
    },
    dispose: () => rm(home, { recursive: true }),
  }
}

function which(tool: string) {
  const found: SpawnSyncReturns<string> = spawnSync('which', [tool], { encoding: 'utf8' })
  return found.stdout.trim()
}
