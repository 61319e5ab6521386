#!/bin/bash
# Perfetto's own trace_processor agrees with Weft on the sample files, one by one and a pair as one trace; and the check
# itself notices a count that differs.
#   perfetto_test.sh SAMPLE_FILES SOURCE_ROOT
set -uo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1" write "$folder" || exit 1
export WEFT=$1
"$2/scripts/check-trace" "$folder/simulated.pftrace" "$folder/measured.pftrace" "$folder/measured.pftrace.gz" "$folder/long.pftrace" || exit $?
"$2/scripts/check-trace" --together "$folder/simulated.pftrace" "$folder/measured.pftrace" || exit $?

printf '#!/bin/sh\n"%s" "$@" | sed "s/\\"flows\\": 18/\\"flows\\": 19/"\n' "$1" >"$folder/liar"
chmod +x "$folder/liar"
WEFT=$folder/liar "$2/scripts/check-trace" "$folder/simulated.pftrace" >"$folder/out"
if [ $? != 1 ] || ! grep -q 'flows .*DIFFERS' "$folder/out"; then echo "check-trace did not notice a flow too many"; exit 1; fi
