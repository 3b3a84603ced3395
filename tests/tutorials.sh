#!/usr/bin/env bash
# Runs the tutorials of docs/ as they are written: tests/tutorials.sh [LANG]...   (default: rust js python c)
#
# Of each page, in its order: `sh` blocks are run; the `sh serve` block is started and stays; a block with a path is written
# there; an `output` block is what the last `sh` block has to print, sooner or later, for a build may be under way.
# Exit status: 0 all answered, 3 a tool was missing (the reason is above), 1 something is broken.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
server=
stop() { [ -z "$server" ] || { kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; } || true; server=; }
trap 'stop; rm -rf "$work"' EXIT

cargo test --workspace --test demo --no-run
target=${CARGO_TARGET_DIR:-$root/target}
PATH=$(cd "$target/debug" && pwd):$PATH

# Splits a page into numbered files: N.HEAD holds the words after the backticks, N.BODY the block.
blocks() {
  awk -v out="$2" '
    /^```/ && !inside { inside = 1; n++; head = substr($0, 4); file = sprintf("%s/%03d", out, n);
                        print head > (file ".head"); close(file ".head"); printf "" > (file ".body"); next }
    /^```$/ && inside { inside = 0; close(file ".body"); next }
    inside { print > (file ".body") }' "$1"
}

run_page() {
  local language=$1 place=$work/$1 last= head body status
  mkdir -p "$place/blocks"
  cd "$place"
  export JACKFIELD_STATE=$place/state
  unset JACKFIELD_REGISTRY
  blocks "$root/docs/tutorial-$language.md" blocks
  for head in blocks/*.head; do
    body=${head%.head}.body
    case $(cat "$head") in
      "sh serve")
        # Port 0, because others may use this machine, too.
        # shellcheck disable=SC2046
        $(cat "$body") -p 0 >serve.out 2>serve.log &
        server=$!
        for _ in $(seq 1200); do
          JACKFIELD_REGISTRY=$(sed -n 's/.*registry listening on \([0-9.:]*\).*/\1/p' serve.out)
          [ -z "$JACKFIELD_REGISTRY" ] || break
          kill -0 "$server" 2>/dev/null || break
          sleep 0.1
        done
        [ -n "$JACKFIELD_REGISTRY" ] || { cat serve.out serve.log; return 1; }
        export JACKFIELD_REGISTRY
        ;;
      sh)
        last=$body
        # What prints something that the page shows is run by that block, as often as it takes.
        if [ "$(cat "$(next "$head")" 2>/dev/null)" != output ]; then
          status=0
          bash -euo pipefail "$body" || status=$?
          # The Makefile says itself what it lacks, also when it would build nothing.
          [ "$language" != c ] || [ "$status" != 11 ] || make -nC hello >/dev/null 2>&1 || status=3
          [ "$status" = 0 ] || return "$status"
        fi
        ;;
      output)
        for _ in $(seq 600); do
          got=$(bash "$last" 2>call.log || true)
          [ "$got" != "$(cat "$body")" ] || break
          kill -0 "$server" 2>/dev/null || break
          sleep 0.5
        done
        [ "$got" = "$(cat "$body")" ] || { echo "expected $(cat "$body"), got $got"; cat call.log serve.out serve.log; return 1; }
        echo "$language: $(cat "$last") gives $got, ${SECONDS} s"
        ;;
      *" "*) cp "$body" "$(cut -d' ' -f2 "$head")" ;;
    esac
  done
  stop
  cd "$root"
}

# The head of the block after this one.
next() { printf 'blocks/%03d.head' $((10#$(basename "$1" .head) + 1)); }

worst=0
[ $# -gt 0 ] || set -- rust js python c
for language in "$@"; do
  SECONDS=0
  status=0
  run_page "$language" || status=$?
  stop
  cd "$root"
  case $status in
    0) ;;
    3) echo "$language: skipped, see above"; [ $worst = 1 ] || worst=3 ;;
    *) echo "$language: failed"; worst=1 ;;
  esac
done
exit $worst
