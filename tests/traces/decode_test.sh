#!/bin/bash
# protoc decodes our file by our schema, and finds as many of everything as were written.
#   decode_test.sh SAMPLE_FILES SCHEMA_ROOT
set -euo pipefail
command -v protoc >/dev/null || { echo "skipped: protoc is not installed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1" write "$folder"
protoc --decode=perfetto.protos.Trace --proto_path="$2" "$2/traces/perfetto.proto" <"$folder/simulated.pftrace" >"$folder/text"

failed=0
expect() {  # COUNT PATTERN
  local found
  found=$(grep -cE "$2" "$folder/text" || true)
  if [ "$found" != "$1" ]; then echo "\"$2\": $found lines, expected $1"; failed=1; fi
}
expect 97 '^packet \{'           # first, process, header, 6 queue tracks, 3 counter tracks, 38 begins, 38 ends, 9 samples
expect 38 '^    type: 1$'        # slices begin
expect 38 '^    type: 2$'        # and end
expect 1 '^    type: 3$'         # the header's instant
expect 9 '^    type: 4$'         # counter samples
expect 10 '^  track_descriptor \{'
expect 36 '^    flow_ids: '      # 18 arrows, two ends each
expect 14 '^    event_names \{'  # each step's name once
expect 1 'first_packet_on_sequence: true'
expect 38 '^      name_iid: 1$'  # annotation "step" on every slice
expect 0 '^ *[0-9]+: '           # fields that the schema does not know
exit $failed
