#!/usr/bin/env bash
# GTKWave's own reader of VCD takes our waves, and what it gives back says the same of every core and link as Weft's
# tables: cycles in each state, wavelets through each port.
#   gtkwave_test.sh WEFT SOURCE_ROOT
# Needs vcd2fst and fst2vcd, which come with GTKWave (Debian: gtkwave); 77 where they are not installed.
set -euo pipefail
weft=$1
export WEFT_DATA=$2
for tool in vcd2fst fst2vcd; do
  command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed (it comes with GTKWave)"; exit 77; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Adds up, in cycles, how long each core was in each state and how long each link carried something.
cat >"$folder/add.awk" <<'AWK'
function close_value(id, duration) {
  if (!(id in name)) return
  duration = cycle - since[id]
  since[id] = cycle
  if (name[id] == "state") spent[where[id] "," value[id]] += duration
  else if (value[id] !~ /[xz]/) spent[where[id] "," name[id]] += duration
}
function number(bits, i, n) {
  if (bits ~ /[xz]/) return bits
  n = 0
  for (i = 1; i <= length(bits); ++i) n = 2 * n + substr(bits, i, 1)
  return n
}
function place(text) { sub(/^(core|router)_/, "", text); sub(/_/, ",", text); return text }
$1 == "$scope" { depth++; scope[depth] = $3 }
$1 == "$upscope" { depth-- }
$1 == "$var" && scope[depth] ~ /^core_[0-9]+_[0-9]+$/ && $5 ~ /^state/ { name[$4] = "state" }
$1 == "$var" && scope[depth] ~ /^router_[0-9]+_[0-9]+$/ { port = $5; sub(/\[.*/, "", port); name[$4] = port }
$1 == "$var" && ($4 in name) { where[$4] = place(scope[depth]); since[$4] = 0; value[$4] = "z" }
$1 ~ /^#/ { cycle = int(substr($1, 2) * clock / 1e12 + 0.5) }
$1 ~ /^b/ && ($2 in name) { close_value($2); value[$2] = number(substr($1, 2)) }
END {
  for (id in name) close_value(id)
  for (key in spent) print key "," spent[key]
}
AWK

check() {  # kernel and its settings
  "$weft" kernel run "$@" --vcd "$folder/waves.vcd" --cores 1000000 --csv >"$folder/cores.csv"
  "$weft" kernel run "$@" --links 1000000 --csv >"$folder/links.csv"
  vcd2fst "$folder/waves.vcd" "$folder/waves.fst"
  fst2vcd "$folder/waves.fst" >"$folder/back.vcd"
  local clock
  clock=$(sed -n 's/.*cycles of a clock of \([0-9]*\) Hz.*/\1/p' "$folder/waves.vcd")
  # The table's columns: x, y, busy, share, receive, send, microthread, idle.
  { awk -F, 'NR > 1 { n = split("3 5 6 7", column, " ")
      for (s = 1; s <= n; ++s) if ($column[s] > 0) print $1 "," $2 "," s "," $column[s] }' "$folder/cores.csv"
    awk -F, 'NR > 1 { print $1 "," $2 "," $3 "," $4 }' "$folder/links.csv"; } | sort >"$folder/ours"
  awk -v clock="$clock" -f "$folder/add.awk" "$folder/back.vcd" | grep -vE ',(0|z|ramp),[0-9]+$' | sort >"$folder/theirs"
  [ "$(wc -l <"$folder/ours")" -gt 10 ] || { echo "$*: the tables are empty"; return 1; }
  if ! diff "$folder/ours" "$folder/theirs" >"$folder/difference"; then
    echo "$*: Weft's tables (<) and the waves as GTKWave reads them (>), by x, y, state or port:"
    head -20 "$folder/difference"
    return 1
  fi
  echo "$*: $(wc -l <"$folder/ours") sums agree"
}

check heat
check lu
check line_sum cores=7 words=40

# The comparison notices a core that was busy a cycle longer.
awk -F, -v OFS=, '$3 == 1 && !done { ++$4; done = 1 } { print }' "$folder/ours" >"$folder/wrong"
if diff -q "$folder/wrong" "$folder/theirs" >/dev/null; then echo "a wrong sum was not noticed"; exit 1; fi
