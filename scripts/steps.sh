# `step` runs a command under a heading. On exit, also after a failure, prints a table with the minutes of each step: wall
# clock, and CPU. Much wall clock with little CPU means that the machine was busy. For bash with `set -euo pipefail`.

rows=()
running=
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
  "$@"
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
  local failed=$running
  [ -z "$failed" ] || add_row
  read_cpu
  printf '\n%-64s %8s %12s\n' step minutes 'CPU minutes'
  printf '%s\n' "${rows[@]}" "all|$SECONDS|$cpu" |
    awk -F '|' '{ printf "%-64s %8.1f %12.1f\n", $1, $2 / 60, $3 / 60 }'
  [ -z "$failed" ] || printf '\nFailed: %s\n' "$failed"
  rm -f "$scratch"
  exit "$1"
}
