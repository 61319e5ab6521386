#!/usr/bin/env bash
# Perfetto's own trace_processor finds in traces of cores what Weft's tables of the same run say; and the check notices a
# table that says otherwise.
#   perfetto_test.sh WEFT SOURCE_ROOT
set -uo pipefail
export WEFT=$1 WEFT_DATA=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for kernel in lu heat; do
  "$1" kernel run "$kernel" --trace "$folder/cores.pftrace" --cores 1000000 --links 1000000 --json >"$folder/cores.json" || exit 1
  "$2/scripts/check-trace" --cores "$folder/cores.json" "$folder/cores.pftrace" >"$folder/out"
  code=$?
  if [ $code != 0 ]; then grep -E 'DIFFERS|differ' "$folder/out"; exit $code; fi
  echo "$kernel: $(grep -c ' ' "$folder/out") facts, $(tail -n 1 "$folder/out")"
done
sed '0,/"busy_cycles": \([0-9]*\)/s//"busy_cycles": 1\1/' "$folder/cores.json" >"$folder/wrong.json"
"$2/scripts/check-trace" --cores "$folder/wrong.json" "$folder/cores.pftrace" >"$folder/out"
if [ $? != 1 ] || ! grep -q 'busy .*DIFFERS' "$folder/out"; then echo "check-trace did not notice a wrong sum"; exit 1; fi
