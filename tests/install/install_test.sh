#!/usr/bin/env bash
# install_test.sh BUILD CMAKE CC CXX: installs BUILD below a fresh prefix, moves that to another place, and there runs the
# program, a client in C through pkg-config and one in C++ through find_package. All must find the installed data.
set -euo pipefail

build=$1 cmake=$2 cc=$3 cxx=$4
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset WEFT_DATA
fail() {
  printf 'FAILED: %s\n' "$*"
  exit 1
}

"$cmake" --install "$build" --prefix "$work/first" >"$work/install.log" || {
  cat "$work/install.log"
  fail "cmake --install"
}
mv "$work/first" "$work/moved"
prefix=$work/moved
pc=$(dirname "$(find "$prefix" -name weft.pc)")
[ -f "$pc/weft.pc" ] || fail "no weft.pc was installed"
internal=$(find "$prefix" -name '*_internal.h')
[ -z "$internal" ] || fail "headers of a room's own were installed: $internal"

# A network that only the installed data have shows that these are read.
networks=$prefix/share/weft/models/networks
cp "$networks/gpt2.json" "$networks/only-here.json"
machine="mesh:256x256 sram:48KiB clock:850MHz"

cd /
"$prefix/bin/weft" --version | grep -qx "weft $WEFT_TEST_VERSION" || fail "weft --version"
"$prefix/bin/weft" networks show only-here >"$work/shown" || fail "the installed program does not find the installed data"

export PKG_CONFIG_PATH=$pc
[ "$(pkg-config --modversion weft)" = "$WEFT_TEST_VERSION" ] || fail "pkg-config --modversion weft"
# shellcheck disable=SC2046,SC2086
"$cc" $WEFT_TEST_CFLAGS -std=c17 -Wall -Wextra -Werror -o "$prefix/bin/client_c" "$here/client/client.c" \
  $(pkg-config --cflags --libs weft) || fail "the C client does not build through pkg-config"
"$prefix/bin/client_c" only-here "$machine" >"$work/c.out" || fail "the C client"

# A client that asks nothing of the simulator links all the same.
printf '#include "base/status.h"\nint main(void) { weft_status_free(0); return 0; }\n' >"$work/small.c"
# shellcheck disable=SC2046,SC2086
"$cc" $WEFT_TEST_CFLAGS -o "$work/small" "$work/small.c" $(pkg-config --cflags --libs weft) || fail "the small client does not build"
"$work/small" || fail "the small client"

"$cmake" -S "$here/client" -B "$work/client" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" \
  -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_C_FLAGS="$WEFT_TEST_CFLAGS" \
  -DCMAKE_CXX_FLAGS="$WEFT_TEST_CXXFLAGS -Wall -Wextra -Werror" >"$work/configure.log" 2>&1 || {
  cat "$work/configure.log"
  fail "find_package(weft)"
}
"$cmake" --build "$work/client" >"$work/build.log" 2>&1 || {
  cat "$work/build.log"
  fail "the C++ client does not build"
}
cp "$work/client/client_cpp" "$prefix/bin/"
"$prefix/bin/client_cpp" only-here "$machine" >"$work/cpp.out" || fail "the C++ client"

[ "$(tail -n 1 "$work/cpp.out")" = ref ] || fail "the C++ client finds no backend: $(cat "$work/cpp.out")"
[ "$(head -n 1 "$work/cpp.out")" = "$(cat "$work/c.out")" ] || fail "the clients disagree: $(cat "$work/c.out" "$work/cpp.out")"
awk '{ exit !($1 > 1 && $1 < 1e9 && $2 == "tokens/s") }' "$work/c.out" || fail "no rate of tokens: $(cat "$work/c.out")"

# Errors reach clients as statuses, with the program's exit codes.
code=0
"$prefix/bin/client_c" only-heer "$machine" 2>"$work/error" || code=$?
[ "$code" -eq 2 ] || fail "an unknown network: exit code $code, expected 2"
grep -q 'only-here' "$work/error" || fail "the nearest network is not named: $(cat "$work/error")"
printf 'C through pkg-config and C++ through CMake agree: %s\n' "$(cat "$work/c.out")"
