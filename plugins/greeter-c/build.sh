#!/bin/sh
# Builds the C greeter: plugins/greeter-c/build.sh [OUTFILE]     (default: the checked-in greeter-c.wasm)
#
# Needs: a C compiler with a wasm32 back end (clang 16 or newer: Debian `apt install clang-19`; or `pip install ziglang`;
#        or name one in CC), and Rust's target (`rustup target add wasm32-wasip2`), whose linker and malloc it uses.
# Exit status: 0 built, 3 a tool is missing (says which), 1 anything else.
#
# bindings/ is made by `wit-bindgen c ../greeter/wit --world greeter --out-dir bindings` (wit-bindgen-cli 0.63.0).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/greeter-c.wasm}

missing() { echo "skipped greeter-c: $1" >&2; exit 3; }
can_wasm() { echo 'int f(void){return 1;}' | "$@" --target=wasm32 -x c -c -o /dev/null - 2>/dev/null; }

command -v rustc >/dev/null || missing "no rustc; install Rust from https://rustup.rs"
libs=$(rustc --print target-libdir --target wasm32-wasip2 2>/dev/null || true)
[ -d "$libs" ] || missing "no Rust target wasm32-wasip2; run: rustup target add wasm32-wasip2"
tools=$(rustc --print target-libdir)/../bin
linker=$tools/wasm-component-ld
[ -x "$linker" ] || linker=$(command -v wasm-component-ld || true)
[ -n "$linker" ] || missing "no wasm-component-ld in $tools; Rust's toolchain brings it along"

cc=
for candidate in "${CC:-}" clang-19 clang-20 clang-18 clang-17 clang-16 clang; do
  [ -n "$candidate" ] && can_wasm "$candidate" && cc=$candidate && break
done
target=--target=wasm32
if [ -z "$cc" ]; then
  python3 -m ziglang version >/dev/null 2>&1 || missing "no C compiler for wasm32; install clang-19, or ziglang with pip"
  cc="python3 -m ziglang cc" target=--target=wasm32-freestanding
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$here"
for source in src/greeter.c bindings/greeter.c; do
  # shellcheck disable=SC2086 # $cc may be three words
  $cc $target -std=c17 -Os -Wall -Wextra -ffreestanding -ffunction-sections -fdata-sections -I include -I bindings \
    -DWIT_FILE='"../greeter/wit/greeter.wit"' -c "$source" -o "$work/$(echo "$source" | tr / _).o"
done
"$linker" --wasm-ld-path "$tools/gcc-ld/wasm-ld" --no-entry --gc-sections --strip-all --stack-first -z stack-size=16384 \
  "$work"/*.o bindings/greeter_component_type.o -L "$libs/self-contained" -lc -o "$work/greeter-c.wasm"
mkdir -p "$(dirname "$out")"
mv "$work/greeter-c.wasm" "$out"
