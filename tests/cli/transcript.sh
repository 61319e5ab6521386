#!/usr/bin/env bash
# Runs the commands of a transcript and compares what they print with what the transcript says.
#   transcript.sh WEFT FILE            prints the difference; exit code 1 if there is one
#   transcript.sh WEFT FILE --update   writes what was printed into FILE: read the difference before you commit it
#
# In a transcript, "$ COMMAND" is run by bash in an empty folder, with weft on the path; then come the lines of its stdout,
# those of its stderr with "! " in front, and "[exit N]" where N is not 0. "# " begins a comment. $GOLDEN is tests/golden;
# its path is printed as GOLDEN. Commands of one transcript share the folder. Spaces at line ends do not count.
set -euo pipefail

weft=$(realpath "$1")
transcript=$(realpath "$2")
GOLDEN=$(cd "$(dirname "${BASH_SOURCE[0]}")/../golden" && pwd)
export GOLDEN
ROOT=$(cd "$GOLDEN/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/here"
ln -s "$weft" "$work/bin/weft"
export PATH="$work/bin:$PATH" LC_ALL=C WEFT_DATA="$ROOT"
cd "$work/here"

run() {
  local code=0
  bash -c "$1" >"$work/stdout" 2>"$work/stderr" </dev/null || code=$?
  cat "$work/stdout"
  sed 's/^/! /' "$work/stderr"
  [ "$code" -eq 0 ] || printf '[exit %d]\n' "$code"
}

before='# '
while IFS= read -r line; do
  case $line in '$ '* | '# '*) ;; *) continue ;; esac
  [ "${before:0:2}" = '# ' ] || printf '\n'
  printf '%s\n' "$line"
  case $line in '$ '*) run "${line#\$ }" | sed -e "s|$GOLDEN|GOLDEN|g" -e "s|$ROOT|ROOT|g" -e 's/ *$//' ;; esac
  before=$line
done <"$transcript" >"$work/printed"

if [ "${3:-}" = --update ]; then
  cp "$work/printed" "$transcript"
else
  diff -u --label expected --label printed "$transcript" "$work/printed"
fi
