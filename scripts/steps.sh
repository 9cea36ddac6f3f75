# `step` runs a command under a heading. On exit, also after a failure, prints a table with the minutes of each step: wall
# clock, and CPU. Much wall clock with little CPU means that the machine was busy. For bash with `set -euo pipefail`.
# The first failure ends the script, or, with `keep_going=1`, is told in the end, and the exit code is 1.

rows=()
failed=()
running=
keep_going=
cpu=0
scratch=$(mktemp)
trap 'table $?' EXIT

# step <title> <command> [<argument> ...]
step() {
  running=$1
  shift
  printf '\n== %s\n' "$running"
  started=$SECONDS
  read_cpu
  started_cpu=$cpu
  if [ -n "$keep_going" ]; then
    "$@" || failed+=("$running")
  else
    "$@"
  fi
  add_row
}

add_row() {
  read_cpu
  rows+=("$running|$((SECONDS - started))|$((cpu - started_cpu))")
  running=
}

# CPU seconds of all commands so far. In a subshell `times` would print zeros, so its output goes through a file.
read_cpu() {
  times >"$scratch"
  cpu=$(awk 'NR == 2 { gsub(/[ms]/, " "); printf "%d", $1 * 60 + $2 + $3 * 60 + $4 }' "$scratch")
}

table() {
  local code=$1
  if [ -n "$running" ]; then
    failed+=("$running")
    add_row
  fi
  read_cpu
  printf '\n%-64s %8s %12s\n' step minutes 'CPU minutes'
  printf '%s\n' "${rows[@]}" "all|$SECONDS|$cpu" |
    awk -F '|' '{ printf "%-64s %8.1f %12.1f\n", $1, $2 / 60, $3 / 60 }'
  rm -f "$scratch"
  if [ ${#failed[@]} -gt 0 ]; then
    printf '\nFailed: %s\n' "${failed[@]}"
    [ "$code" -ne 0 ] || code=1
  fi
  exit "$code"
}
