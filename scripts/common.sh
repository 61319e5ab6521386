# What the scripts share; sourced, not run.
# shellcheck shell=bash disable=SC2034

WEFT_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }
die() {
  local code=$1
  shift
  printf '%s: error: %s\n' "$(basename "$0")" "$*" >&2
  exit "$code"
}

# at_least 3.25.1 3.22: is the first version not below the second?
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

processors() { nproc 2>/dev/null || getconf _NPROCESSORS_ONLN; }

# follow WHAT COMMAND...: runs quietly into a log and shows one line of progress; the log's end where it fails.
follow() {
  local what=$1 log start now shown=0
  shift
  log=$(mktemp)
  start=$(date +%s)
  "$@" >"$log" 2>&1 &
  local job=$!
  while kill -0 "$job" 2>/dev/null; do
    sleep 0.2
    now=$(($(date +%s) - start))
    if [ -t 2 ] && [ "$now" -ge 1 ]; then
      printf '\r\033[K%s ... %d s  %.80s' "$what" "$now" "$(tail -n 1 "$log" | tr -d '\r\n')" >&2
      shown=1
    elif [ "$now" -ge $((shown + 20)) ]; then
      say "$what ... $now s: $(tail -n 1 "$log" | tr -d '\r' | cut -c 1-100)"
      shown=$now
    fi
  done
  [ -t 2 ] && [ "$shown" -gt 0 ] && printf '\r\033[K' >&2
  local code=0
  wait "$job" || code=$?
  if [ "$code" -ne 0 ]; then
    tail -n 60 "$log" >&2
    say "$what: failed (exit code $code); the whole log: $log"
    return "$code"
  fi
  rm -f "$log"
}
