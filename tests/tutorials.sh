#!/usr/bin/env bash
# Runs the tutorials of docs/ as they are written: tests/tutorials.sh [--binary FILE] [LANG]...   (default: rust js python c services)
#
# Of each page, in its order: the `sh tools` block installs what the language needs, where it is missing and root asks; `sh` blocks
# are run, line by line; the `sh serve` block is started and stays; a block with a path is written there; an `output` block is what the
# last `sh` block has to print, sooner or later, for a build may be under way. Each line is told with the time that it took.
# --binary FILE runs that program instead of building one.
# Exit status: 0 all answered, 3 a tool was missing (the reason is above), 1 something is broken.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
server=
stop() { [ -z "$server" ] || { kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; } || true; server=; }
trap 'stop; rm -rf "$work"' EXIT

if [ "${1:-}" = --binary ]; then
  mkdir "$work/bin" && ln -s "$(realpath "$2")" "$work/bin/jackfield"
  PATH=$work/bin:$PATH
  shift 2
else
  cargo test --workspace --test demo --no-run
  PATH=$(cd "${CARGO_TARGET_DIR:-target}/debug" && pwd):$PATH
fi

# Splits a page into numbered files: N.HEAD holds the words after the backticks, N.BODY the block.
blocks() {
  awk -v out="$2" '
    /^```/ && !inside { inside = 1; n++; head = substr($0, 4); file = sprintf("%s/%03d", out, n);
                        print head > (file ".head"); close(file ".head"); printf "" > (file ".body"); next }
    /^```$/ && inside { inside = 0; close(file ".body"); next }
    inside { print > (file ".body") }' "$1"
}

# The head of the block after this one.
next() { printf 'blocks/%03d.head' $((10#$(basename "$1" .head) + 1)); }

now() { local time=$EPOCHREALTIME; echo $((${time/[.,]/} / 1000)); }

# took LANG SINCE WHAT
took() { local ms=$(($(now) - $2)); printf '%s: %d.%d s  %s\n' "$1" $((ms / 1000)) $((ms / 100 % 10)) "$3"; }

# Runs each line of a file.
run_lines() {
  local line since
  while IFS= read -r line; do
    since=$(now)
    bash -euo pipefail -c "$line" </dev/null || return
    took "$1" "$since" "$line"
  done <"$2"
}

has_tools() {
  case $1 in
    rust) [ -d "$(rustc --print target-libdir --target wasm32-wasip2)" ] && cc --version ;;
    js) npm --version ;;
    python) python3 -c 'import ensurepip, venv' ;;
    # shellcheck disable=SC2086 # $CC may be several words
    c) make --version && ${CC:-clang} --target=wasm32-wasi -mexec-model=reactor -include stdlib.h -x c /dev/null -o /dev/null ;;
  esac >/dev/null 2>&1
}

# Pages name what Debian calls the tools.
apt() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "only root can install with apt: apt $*"; return 3; }
  { DEBIAN_FRONTEND=noninteractive apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends "$@"; } \
    >"$work/apt.log" 2>&1 || { tail -n 5 "$work/apt.log"; return 3; }
}
export -f apt
export work

run_page() {
  local language=$1 place=$work/$1 last='' head body status got since
  mkdir -p "$place/blocks"
  cd "$place"
  export JACKFIELD_STATE=$place/state
  unset JACKFIELD_REGISTRY
  blocks "$root/docs/tutorial-$language.md" blocks
  for head in blocks/*.head; do
    body=${head%.head}.body
    case $(cat "$head") in
      "sh tools")
        has_tools "$language" || run_lines "$language" "$body" || return 3
        has_tools "$language" || { echo "the tools of the page are not enough"; return 1; }
        ;;
      "sh serve")
        since=$(now)
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
        took "$language" "$since" "$(cat "$body")"
        ;;
      sh)
        last=$body
        # What prints something that the page shows is run by that block, as often as it takes.
        [ "$(cat "$(next "$head")" 2>/dev/null)" = output ] || run_lines "$language" "$body" || return
        since=$(now)
        ;;
      output)
        for _ in $(seq 600); do
          got=$(bash "$last" 2>call.log || true)
          [ "$got" != "$(cat "$body")" ] || break
          kill -0 "$server" 2>/dev/null || break
          sleep 0.2
        done
        [ "$got" = "$(cat "$body")" ] || { echo "expected $(cat "$body"), got $got"; cat call.log serve.out serve.log; return 1; }
        took "$language" "$since" "$(cat "$last") gives $got"
        ;;
      *" "*) cp "$body" "$(cut -d' ' -f2 "$head")" ;;
    esac
  done
  stop
}

worst=0
[ $# -gt 0 ] || set -- rust js python c services
for language in "$@"; do
  began=$(now)
  status=0
  run_page "$language" || status=$?
  stop
  cd "$root"
  case $status in
    0) took "$language" "$began" "in all" ;;
    3) echo "$language: skipped, see above"; [ $worst = 1 ] || worst=3 ;;
    *) echo "$language: failed"; worst=1 ;;
  esac
done
exit $worst
