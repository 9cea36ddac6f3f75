#!/usr/bin/env bash
# Checks that take too long for each commit: about two hours on two cores. `.ci/run` has the other checks. Needs `npm ci`.
# FUZZ_SECONDS, SOAK_MINUTES, SOAK_CALLS, DIFFERENTIAL_CASES and REFRESH_CASES set the lengths.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/steps.sh
# One night's run is to show all that fails.
keep_going=1

step 'Tools' bash .ci/tools "qemu-aarch64-static:qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross" \
  x86_64-w64-mingw32-gcc:gcc-mingw-w64-x86-64 /usr/lib/wine/wine64:wine64
step 'Build' npm run build
step 'Crates: licences, sources, duplicates' node scripts/cargo-tool.mjs cargo-deny --locked check bans licenses sources
step 'SBOMs' npx vitest run --project supply-chain sbom
step 'Random requests: same results as Auth.js' \
  env DIFFERENTIAL_CASES="${DIFFERENTIAL_CASES:-50000}" npx vitest run __test__/differential
step 'Random requests: same cookies as Auth.js' \
  env DIFFERENTIAL_CASES="${REFRESH_CASES:-20000}" npx vitest run refresh-differential
step 'Tests with the other versions of Node.js' node scripts/node-versions.mjs
step 'All tests with AddressSanitizer' node scripts/sanitizer.mjs all
step 'Fuzz targets' node fuzz/run.mjs --seconds="${FUZZ_SECONDS:-60}"
step 'Published binary: build' node scripts/build-artifact.mjs
step 'Published binary: inspect and install' \
  env ARTIFACTS=artifacts npx vitest run --project artifact --project install
for target in x86_64-unknown-linux-musl aarch64-unknown-linux-gnu aarch64-unknown-linux-musl; do
  step "Other platforms: build for $target" node scripts/build-artifact.mjs --target="$target"
  step "Other platforms: JavaScript tests, $target" node scripts/emulated-tests.mjs "$target"
done
step 'Windows: build with MinGW-w64' node scripts/build-artifact.mjs --target=x86_64-pc-windows-gnu
step 'Other platforms: main job, emulated' npx vitest run --project platforms
step 'Documentation as a site, in a browser' npx vitest run --project site
step 'Next.js: other bundler, other modes, getting started' npx vitest run --project next-modes
step 'Full load with a fault every ten seconds; memory' npx vitest run --project soak
step 'Cost of damaged cookies, short' node benchmark/attack.mjs --short
step 'Timing: no hint why a token is refused' node benchmark/timing.mjs
