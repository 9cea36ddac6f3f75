# Steps with a heading each, and at the end, also at a bad one, a table of the minutes that they took: by the clock, and of the
# processors, which tells whether the machine was busy with something else. For bash with `set -euo pipefail`.

rows=()
running=
processors=0
scratch=$(mktemp)
trap 'table $?' EXIT

# step <title> <command> [<argument> ...]
step() {
  running=$1
  shift
  printf '\n== %s\n' "$running"
  began=$SECONDS
  read_processors
  used=$processors
  "$@"
  add_row
}

add_row() {
  read_processors
  rows+=("$running|$((SECONDS - began))|$((processors - used))")
  running=
}

# Seconds of all commands so far. `times` tells nothing in a subshell, so it writes to a file.
read_processors() {
  times >"$scratch"
  processors=$(awk 'NR == 2 { gsub(/[ms]/, " "); printf "%d", $1 * 60 + $2 + $3 * 60 + $4 }' "$scratch")
}

table() {
  local failed=$running
  [ -z "$failed" ] || add_row
  read_processors
  printf '\n%-64s %8s %12s\n' step minutes processors
  printf '%s\n' "${rows[@]}" "all|$SECONDS|$processors" |
    awk -F '|' '{ printf "%-64s %8.1f %12.1f\n", $1, $2 / 60, $3 / 60 }'
  [ -z "$failed" ] || printf '\nFailed: %s\n' "$failed"
  rm -f "$scratch"
  exit "$1"
}
