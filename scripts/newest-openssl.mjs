// Fails if there is a newer OpenSSL than the one in Cargo.lock. The advisory database can't tell: its entries for the crate
// with OpenSSL's source end in 2023.

import { spawnSync } from 'node:child_process'

const command = ['update', '--dry-run', '--package', 'openssl-src']
// Include versions that need a newer Rust.
const env = { ...process.env, CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS: 'allow' }
const { status, stderr } = spawnSync('cargo', command, { env, encoding: 'utf8' })
if (status !== 0) throw new Error(`cargo ${command.join(' ')} failed:\n${stderr}`)
const [newer] = /Updating openssl-src .+/.exec(stderr) ?? []
if (newer) throw new Error(`${newer}; run: cargo update --package openssl-src`)
console.log('Cargo.lock has the newest OpenSSL')
