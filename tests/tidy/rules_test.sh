#!/usr/bin/env bash
# Every rule of tidy.sh bites: a small clean tree passes, and with one line against a rule it fails for that reason.
set -euo pipefail

tidy=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/tidy.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0
checks=0

plant() {
  rm -rf "${tree:?}"/*
  mkdir -p "$tree"/{docs,base,models,runtime/cpu,sim,cli,tests/base}
  cat >"$tree/docs/ARCHITECTURE.md" <<'TEXT'
## Rooms

| room | holds | may include |
| --- | --- | --- |
| `base/` | helpers | |
| `models/` | what is given | `base/` |
| `runtime/` | what runs | `base/`, `models/network.h` |
| `sim/` | what is predicted | `base/` |
| `cli/` | the program | `base/`, `models/`, `runtime/` |

## Types
TEXT
  local name
  for name in base/file models/network models/graph runtime/session; do
    local guard
    guard=WEFT_$(printf '%s' "$name" | tr 'a-z/' 'A-Z_')_H
    printf '// Says what it is for.\n#ifndef %s\n#define %s\n\n#ifdef __cplusplus\nextern "C" {\n#endif\n\n' "$guard" "$guard" >"$tree/$name.h"
    printf 'typedef struct weft_%s weft_%s;\n#define WEFT_%s 1\n\n#ifdef __cplusplus\n}\n#endif\n#endif\n' \
      "${name##*/}" "${name##*/}" "$(printf '%s' "${name##*/}" | tr '[:lower:]' '[:upper:]')" >>"$tree/$name.h"
    printf '#include "%s.h"\n\n#include <stdio.h>\n' "$name" >"$tree/$name.c"
  done
  printf '#include "models/network.h"\n// exit(1) and printf("x") may be written about.\nstatic const char *text = "abort(); stdout";\n' >>"$tree/runtime/session.c"
  printf '#include "base/file.h"\n#include <omp.h>\n' >"$tree/runtime/cpu/cpu.c"
  printf '#include <systemc>\n' >"$tree/sim/run.cpp"
  printf '#include "runtime/session.h"\nint main(void) { printf("x"); exit(1); }\n' >"$tree/cli/main.c"
  printf '#include "models/graph.h"\n' >"$tree/tests/base/file_test.c"
}

fail() {
  printf 'FAILED: %s\n' "$*"
  failures=$((failures + 1))
}

# expect FILE LINE MESSAGE: with LINE added at the end of FILE, tidy names that file and says MESSAGE, and nothing else.
expect() {
  local file=$1 line=$2 message=$3 output code=0
  plant
  mkdir -p "$(dirname "$tree/$file")"
  printf '%b\n' "$line" >>"$tree/$file"
  output=$(bash "$tidy" "$tree" 2>&1) || code=$?
  checks=$((checks + 1))
  [ "$code" -eq 1 ] || fail "\"$line\" in $file: exit code $code"
  case $output in
    "$file":*"$message"*) ;;
    *) fail "\"$line\" in $file: expected \"$message\", found \"$output\"" ;;
  esac
  [ "$(printf '%s\n' "$output" | wc -l)" -eq 1 ] || fail "\"$line\" in $file: more than one complaint: $output"
}

plant
bash "$tidy" "$tree" || fail "the clean tree is not clean"

expect base/file.c '#include "models/network.h"' 'base/ may not include this'
expect runtime/session.c '#include "models/graph.h"' 'runtime/ may not include this'
expect sim/run.cpp '#include "runtime/session.h"' 'sim/ may not include this'
expect cli/main.c '#include "sim/queue.h"' 'cli/ may not include this'
expect cli/main.c '#include "runtime/session_internal.h"' 'belongs to runtime/ alone'
expect base/file.c '#include "file.h"' 'from the root of the tree'
expect runtime/session.c '#include <systemc.h>' 'only in sim/'
expect runtime/session.c '#include <omp.h>' 'only in runtime/cpu/'
expect runtime/session.c '#include <oneapi/dnnl/dnnl.h>' 'only in runtime/cpu/'
expect runtime/session.c '#include <cuda_runtime.h>' 'only in runtime/cuda/'
expect runtime/session.c '#include <zlib.h>' 'only in traces/'
expect runtime/session.c '#include <png.h>' 'only in traces/'
expect runtime/session.c '#include <popt.h>' 'only in cli/'
expect runtime/session.c '#include <cyaml/cyaml.h>' 'only in models/'
expect runtime/session.c '#include <xxhash.h>' 'only in base/'
expect models/graph.c '#include "models/a.pb-c.h"' 'only in files named *_io.c'
expect models/part.cpp '// nothing' 'C++ only in sim/'
expect runtime/session.c 'void f(void) { exit(1); }' 'ending the program'
expect runtime/session.c 'void f(void) { if (x) abort(); }' 'ending the program'
expect runtime/session.c 'void f(void) { printf("x"); }' 'stdout is for'
expect runtime/session.c 'void f(void) { fputs("x", stdout); }' 'stdout is for'
expect sim/run.cpp 'void f() { std::cout << 1; }' 'stdout is for'
expect runtime/session.c '#if 0\n#endif' 'choose files in CMake'
expect runtime/session.c '#ifdef __linux__\n#endif' 'choose files in CMake'
expect runtime/session.c '#ifndef NDEBUG\n#endif' 'choose files in CMake'
expect base/file.c 'typedef unsigned int word_t;' '_t belong to POSIX'
expect base/file.c '} word_t;' '_t belong to POSIX'
expect base/file.c '\tint x;' 'tabs'
expect base/file.c 'int x; ' 'spaces at the end'
expect base/file.c "// $(printf 'a%.0s' {1..120})" 'longer than 120 columns'
expect base/file.c "$(printf '\\n%.0s' {1..800})" 'longer than 800 lines'
expect base/file.c '// TOD''O: the rest' 'unfinished work'
expect base/bare.h '#ifndef WEFT_BASE_BARE_H\n#define WEFT_BASE_BARE_H\n#endif' 'begins with a comment'
expect base/odd.h '// Odd.\n#ifndef WEFT_ODD_H\n#define WEFT_BASE_ODD_H\n#endif' 'expected #ifndef WEFT_BASE_ODD_H'
expect base/odd.h '// Odd.\n#ifndef WEFT_BASE_ODD_H\n#define WEFT_ODD_H\n#endif' 'expected #define WEFT_BASE_ODD_H'
expect base/file.h '#define LIMIT 3' 'macros of public headers'
expect base/file.h 'typedef struct file file;' 'types of public headers'
expect docs/notes.md 'see /hom''e/someone/notes' 'the path of one machine'
expect docs/notes.md 'see https://pyp''i.org/simple' 'the host of a registry'

plant
printf '#include <hwloc.h>\n' >>"$tree/runtime/session.c"
bash "$tidy" "$tree" || fail "<hwloc.h> in one file is allowed"
printf '#include <hwloc.h>\n' >>"$tree/models/graph.c"
{ bash "$tidy" "$tree" || true; } | grep -q 'hwloc.h> belongs in one file' || fail "<hwloc.h> in two files passes"

# Names that libraries define.
plant
mkdir "$tree/build"
printf 'int weft_right(void) { return 0; }\nstatic int hidden(void) { return 1; }\nint (*weft_use)(void) = hidden;\n' >"$tree/build/a.c"
cc -c -o "$tree/build/a.o" "$tree/build/a.c"
ar rc "$tree/build/libweft_a.a" "$tree/build/a.o"
bash "$tidy" "$tree" "$tree/build" || fail "a library with weft_ names only is allowed"
printf 'int wrong_name(void) { return 0; }\n' >"$tree/build/b.c"
cc -c -o "$tree/build/b.o" "$tree/build/b.c"
ar rc "$tree/build/libweft_a.a" "$tree/build/a.o" "$tree/build/b.o"
{ bash "$tidy" "$tree" "$tree/build" || true; } | grep -q 'libweft_a.a:1: public names begin with weft_: wrong_name' ||
  fail "a library that defines wrong_name passes"

[ "$failures" -eq 0 ] || exit 1
printf '%d rules bite\n' "$checks"
