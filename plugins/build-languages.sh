#!/bin/sh
# Builds the greeter world in every other language: plugins/build-languages.sh OUTDIR
#
# Writes greeter-c.wasm, greeter-js.wasm and greeter-py.wasm into OUTDIR, one line per component to stdout.
# Exit status: 0 all built; 3 some were skipped because a tool could not be found or installed (the reason is on
# stderr), the others are there; 1 a build failed; 2 wrong usage.
set -eu
[ $# -eq 1 ] || { echo "usage: $0 OUTDIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
outdir=$(cd "$1" && pwd)

worst=0
for name in greeter-c greeter-js greeter-py; do
  started=$(date +%s)
  status=0
  "$here/$name/build.sh" "$outdir/$name.wasm" || status=$?
  case $status in
    0) echo "$name.wasm: $(($(wc -c <"$outdir/$name.wasm"))) bytes, $(($(date +%s) - started)) s" ;;
    3) echo "$name: skipped"; [ $worst -eq 1 ] || worst=3 ;;
    *) echo "$name: failed with status $status"; worst=1 ;;
  esac
done
exit $worst
