#!/usr/bin/env bash
# All that takes too long for each commit, about half an hour on two cores; `.ci/run` has the rest. After `npm ci`, with what
# `.ci/tools` installs. Each night the lengths are greater: FUZZ_SECONDS, SOAK_MINUTES, SOAK_CALLS, DIFFERENTIAL_CASES.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/steps.sh

step 'Build' npm run build
step 'Crates: licences, sources, duplicates' node scripts/cargo-tool.mjs cargo-deny --locked check bans licenses sources
step 'SBOMs' npx vitest run --project supply-chain sbom
step 'Random requests, answered as Auth.js does' \
  env DIFFERENTIAL_CASES="${DIFFERENTIAL_CASES:-50000}" npx vitest run differential
step 'With the other versions of Node' node scripts/node-versions.mjs
step 'With AddressSanitizer, all' node scripts/sanitizer.mjs all
step 'Fuzz targets' node fuzz/run.mjs --seconds="${FUZZ_SECONDS:-60}"
step 'As it is published: built' node scripts/build-artifact.mjs
step 'As it is published: looked at, and installed' \
  env ARTIFACTS=artifacts npx vitest run --project artifact --project install
step 'Next.js: the other bundler, the other modes, getting started' npx vitest run --project next-modes
step 'Full load with a fault every ten seconds; memory' npx vitest run --project soak
step 'What damaged cookies cost, in short' node benchmark/attack.mjs --short
step 'Whether time tells why a token is refused' node benchmark/timing.mjs
