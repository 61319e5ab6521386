#!/usr/bin/env bash
# The rules of the house that a program can check. Prints "FILE:LINE: what is wrong: the line" and ends with 1 if any.
#   tidy.sh ROOT           the sources below ROOT, against the table of rooms in ROOT/docs/ARCHITECTURE.md
#   tidy.sh ROOT BUILD     and the names that the libraries in BUILD define
set -euo pipefail

build=${2:-}
[ -z "$build" ] || build=$(cd "$build" && pwd)
cd "$1"
declare -A allowed=()
files=() library=() headers=()

# The table of rooms: "| `room/` | what it holds | `room/`, `room/header.h` |".
read_rooms() {
  local room may
  # shellcheck disable=SC2016
  while IFS='|' read -r _ room _ may _; do
    room=$(printf '%s' "$room" | tr -d '`/ ')
    allowed[$room]=" $(printf '%s' "$may" | grep -o '`[^`]*`' | tr -d '`' | tr '\n' ' ' || true)"
  done < <(sed -n '/^## Rooms/,/^## [^R]/p' docs/ARCHITECTURE.md | grep '^| `' || true)
}

list_files() {
  local folders=() folder
  for folder in "${!allowed[@]}" tests; do [ ! -d "$folder" ] || folders+=("$folder"); done
  mapfile -t files < <(find "${folders[@]}" -type f \( -name '*.c' -o -name '*.h' -o -name '*.cpp' -o -name '*.hpp' \
    -o -name '*.cu' -o -name '*.def' \) | sort)
  mapfile -t library < <(others '^(tests|cli)/')
  mapfile -t headers < <(those '\.h$')
}
those() { printf '%s\n' "${files[@]}" | grep -E -e "$1" || true; }
others() { printf '%s\n' "${files[@]}" | grep -vE -e "$1" || true; }

# "FILE:LINE:text" on stdin becomes "FILE:LINE: message: text".
because() { awk -v message="$1" -F: '{ text = $0; sub(/^[^:]*:[^:]*:[ \t]*/, "", text); print $1 ":" $2 ": " message ": " substr(text, 1, 100) }'; }
# lines PATTERN MESSAGE FILE...: every line that matches is wrong.
lines() {
  local pattern=$1 message=$2
  shift 2
  [ "$#" -gt 0 ] || return 0
  { grep -HnE -e "$pattern" -- "$@" || true; } | because "$message"
}
# code PATTERN MESSAGE FILE...: likewise, but for what stands in strings and after "//".
code() {
  local pattern=$1 message=$2
  shift 2
  [ "$#" -gt 0 ] || return 0
  awk -v pattern="$pattern" '{ text = $0; gsub(/"([^"\\]|\\.)*"/, "\"\"", text); sub(/\/\/.*/, "", text)
    if (text ~ pattern) print FILENAME ":" FNR ":" $0 }' "$@" | because "$message"
}

check_includes() {
  local file line include room target other
  while IFS=: read -r file line include; do
    room=${file%%/*}
    target=$(printf '%s' "$include" | cut -d '"' -f 2)
    other=${target%%/*}
    if [ "$other" = "$target" ] && [ "$room" != tests ]; then
      printf '%s:%s: spell an include from the root of the tree: %s\n' "$file" "$line" "$target"
    elif [ "$room" != tests ] && [ "$room" != "$other" ]; then
      case "$target:${allowed[$room]}" in
        *_internal.h:*) printf '%s:%s: belongs to %s/ alone: %s\n' "$file" "$line" "$other" "$target" ;;
        *" $other/ "* | *" $target "*) ;;
        *) printf '%s:%s: %s/ may not include this (it may:%s): %s\n' "$file" "$line" "$room" "${allowed[$room]}" "$target" ;;
      esac
    fi
  done < <(grep -HnE '^ *# *include *"' -- "${files[@]}" || true)
}

# fence INCLUDE PATH WHERE: the include (an extended regular expression) stands only in files of these paths.
fence() {
  local outside
  mapfile -t outside < <(others "$2")
  lines "^ *# *include *[<\"]($1)" "only in $3" "${outside[@]}"
}

check_fences() {
  local places file
  fence 'systemc' '^sim/' 'sim/'
  fence 'cuda|cublas' '^runtime/cuda/' 'runtime/cuda/'
  fence 'omp\.h|oneapi/|dnnl' '^(runtime/cpu|tests)/' 'runtime/cpu/'
  fence 'cyaml/|pcre2' '^models/' 'models/'
  fence 'zlib\.h' '^(traces|tests)/' 'traces/'
  fence 'png\.h|libpng' '^(traces|tests)/' 'traces/'
  fence 'xxhash' '^base/' 'base/'
  fence 'popt\.h' '^cli/' 'cli/'
  fence 'protobuf-c/|.*\.pb-c\.h' '_io\.c$' 'files named *_io.c'
  mapfile -t places < <(grep -lE '^ *# *include *<hwloc' -- "${files[@]}" || true)
  [ "${#places[@]}" -le 1 ] || printf '%s:1: <hwloc.h> belongs in one file: %s\n' "${places[1]}" "${places[*]}"
  while IFS= read -r file; do printf '%s:1: C++ only in sim/: %s\n' "$file" "$file"; done < \
    <(others '^(sim|tests)/' | grep -E '\.(cpp|hpp)$' || true)
}

check_manners() {
  local those_files
  mapfile -t those_files < <(printf '%s\n' "${library[@]}" | grep -v '^base/memory\.c$' || true)
  code '(^|[^A-Za-z0-9_.>])(exit|_exit|abort|quick_exit) *[(]' 'ending the program is for cli/ and tests/' "${those_files[@]}"
  code '(^|[^A-Za-z0-9_])((v?printf|puts|putchar) *[(]|stdout([^A-Za-z0-9_]|$)|std::cout)' 'stdout is for cli/ and tests/' \
    "${library[@]}"
  mapfile -t those_files < <(others '^(base|tests)/')
  { grep -HnE '^ *# *(if|ifdef|ifndef|elif)([ (]|$)' -- "${those_files[@]}" || true; } |
    { grep -vE ':# *ifdef __cplusplus$|:#ifndef WEFT_[A-Z0-9_]*_H$' || true; } |
    because 'choose files in CMake, not by the preprocessor'
  lines '^ *typedef .*[a-z0-9]_t *;|^ *} *[a-z0-9_]+_t *;' 'names in _t belong to POSIX' "${files[@]}"
  lines $'\t' 'tabs' "${files[@]}"
  lines ' +$' 'spaces at the end of a line' "${files[@]}"
  lines '^.{121,}' 'longer than 120 columns' "${files[@]}"
  lines 'TOD[O]|FIXM[E]|(^|[^X])XX[X]([^XH]|$)' 'unfinished work' "${files[@]}"
  awk 'FNR == 801 { print FILENAME ":801: longer than 800 lines: " FILENAME }' "${files[@]}"
}

check_headers() {
  local public
  # The guard is the path: base/file.h has WEFT_BASE_FILE_H, from the first line that is no comment on.
  awk 'function guard(path) { path = toupper(path); gsub(/[^A-Z0-9]/, "_", path); return "WEFT_" path }
    FNR == 1 { state = 0 }
    FNR == 1 && $0 !~ /^\/\/ [^ ]/ { print FILENAME ":1: a header begins with a comment that says what it is for: " $0 }
    state == 1 { if ($0 != "#define " guard(FILENAME)) print FILENAME ":" FNR ": expected #define " guard(FILENAME) ": " $0; state = 2 }
    state == 0 && !/^\/\// && !/^$/ { if ($0 != "#ifndef " guard(FILENAME)) print FILENAME ":" FNR ": expected #ifndef " guard(FILENAME) ": " $0; state = 1 }
    ' "${headers[@]}"
  # A header that C++ may include is one for users of the libraries.
  mapfile -t public < <(grep -l '^extern "C" {' -- "${headers[@]}" || true)
  [ "${#public[@]}" -gt 0 ] || return 0
  lines '^ *# *define +([^WX ]|W[^E]|X[^( ])' 'macros of public headers begin with WEFT_' "${public[@]}"
  lines '^typedef (struct|enum|union) ([^w ]|w[^e])' 'types of public headers begin with weft_' "${public[@]}"
}

check_paths() {
  local every
  mapfile -t every < <(find . -type f ! -path './.git' ! -path './.git/*' ! -path './build*' ! -path './out/*' ! -path './.cache/*' ! -name LICENSE | sed 's|^\./||')
  { grep -HnIE '(^|[^A-Za-z0-9_.])/(wor[k]|hom[e]|far[m])/|https?://[^ ]*(debia[n]|npmj[s]|pyp[i]|pythonhoste[d])\.[a-z]+/' -- "${every[@]}" || true; } |
    because 'the path of one machine, or the host of a registry'
}

# What the archives define for the linker begins with weft_; C++ lives in namespace weft. Code made by protoc-c has its
# package's name in front, and SystemC's library wants a function named sc_main.
check_symbols() {
  local archive
  while IFS= read -r archive; do
    nm --defined-only --extern-only --demangle "$archive" 2>/dev/null | awk -v archive="$(basename "$archive")" '
      /^[^ ]*\.o:$/ { object = $0; next }
      object ~ /pb-c/ || $2 ~ /[WVwvu]/ { next }
      NF >= 3 { name = $0; sub(/^[^ ]* [^ ]* /, "", name); sub(/^(vtable|typeinfo|typeinfo name|guard variable) for /, "", name)
        if (name !~ /^(weft_|weft::|sc_main$|__odr_asan|__asan|__tsan|__ubsan)/) print archive ":1: public names begin with weft_: " name }'
  done < <(find "$build" -name 'libweft_*.a' | sort)
}

read_rooms
if [ "${#allowed[@]}" -eq 0 ]; then
  printf 'docs/ARCHITECTURE.md:1: no table of rooms under "## Rooms"\n'
  exit 1
fi
list_files
if [ "${#files[@]}" -eq 0 ]; then
  printf '%s:1: no sources\n' "$1"
  exit 1
fi
wrong=$(
  check_includes
  check_fences
  check_manners
  check_headers
  check_paths
  [ -z "$build" ] || check_symbols
)
[ -z "$wrong" ] || {
  printf '%s\n' "$wrong"
  exit 1
}
