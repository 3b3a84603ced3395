#!/usr/bin/env bash
# The gateway beside the direct client: tests/bench/gateway.sh [ROUNDS [SECONDS]]
#
# One registry, one host and one gateway, all here. In each round `jackfield bench` calls the host itself and
# wrk calls the same method through the gateway, with as many calls in flight, in turn; the table has the
# medians of all rounds. Needs wrk (Debian: wrk) and a release build, or another binary by JACKFIELD=PATH.
# Exit status: 0 measured, 3 a tool was missing (the reason is above), 1 something went wrong.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-5} seconds=${2:-3}
binary=${JACKFIELD:-${CARGO_TARGET_DIR:-target}/release/jackfield}
command -v wrk >/dev/null || { echo "skipped: there is no wrk; on Debian: apt-get install wrk"; exit 3; }
[ -x "$binary" ] || { echo "skipped: there is no $binary; cargo build --release --workspace --bin jackfield"; exit 3; }

home=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$home"' EXIT
export JACKFIELD_STATE=$home/state
mkdir "$home/plugins"
cp plugins/greeter/greeter.wasm "$home/plugins/"
name=$(printf 'A%.0s' {1..128})

# Starts `jackfield …` and sets `address` to where it says that it listens.
start() {
  local log=$home/$1.log
  "$binary" "$@" >"$log" 2>&1 &
  for _ in $(seq 300); do
    address=$(sed -nE 's/.*listening on ([0-9.]+:[0-9]+).*/\1/p' "$log" | head -n 1)
    [ -z "$address" ] || return 0
    sleep 0.1
  done
  echo "jackfield $1 does not say where it listens:"; cat "$log"; exit 1
}
start registry -p 0 --store memory:; registry=$address
start host "$home/plugins" -p 0 --registry "$registry"; host=$address
start gateway -p 0 --registry "$registry"; url=http://$address/call/greeter/greet
for _ in $(seq 300); do
  "$binary" call greeter.greet Ada --registry "$registry" >/dev/null 2>&1 && break
  sleep 0.1
done

cat >"$home/post.lua" <<LUA
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '["$name"]'
function done(summary, latency)
  local errors = summary.errors
  local bad = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("wrk %f %f %f %d\n", summary.requests / summary.duration * 1e6,
    latency:percentile(50), latency:percentile(99), bad))
end
LUA

# Calls a second, the median and the 99th percentile in µs, as one line.
direct() {
  "$binary" bench greeter.greet "$name" --direct "$host" -c "$1" --warm-up 1s --duration "${seconds}s" --json \
    | python3 -c 'import json, sys; r = json.load(sys.stdin); assert not r["failures"], r["failures"]
print(r["answers_per_second"], r["latency_us"]["p50"], r["latency_us"]["p99"])'
}
through() {
  wrk -t 1 -c "$1" -d 1s -s "$home/post.lua" "$url" >/dev/null
  wrk -t 1 -c "$1" -d "${seconds}s" -s "$home/post.lua" "$url" \
    | awk '/^wrk / { if ($5 > 0) { print $5 " requests failed" >"/dev/stderr"; exit 1 } print $2, $3, $4; said = 1 } END { exit !said }'
}

for round in $(seq "$rounds"); do
  for in_flight in 1 64; do
    echo "direct $in_flight $(direct "$in_flight")"
    echo "gateway $in_flight $(through "$in_flight")"
  done
  echo "round $round of $rounds" >&2
done >"$home/figures"

echo "$("$binary" --version), $(nproc) cores, $(date -u +%F), $rounds rounds of $seconds s in turn; medians of the rounds, and their range"
python3 - "$home/figures" <<'PYTHON'
import collections, statistics, sys
runs = collections.defaultdict(list)
for line in open(sys.argv[1]):
    who, in_flight, *figures = line.split()
    runs[int(in_flight), who].append([float(figure) for figure in figures])
print("| in flight | | calls/s | p50 | p99 |\n|---|---|---|---|---|")
for in_flight in (1, 64):
    middle = {}
    for who in ("direct", "gateway"):
        rates, p50s, p99s = zip(*runs[in_flight, who])
        middle[who] = statistics.median(rates)
        spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
        times = [f"{statistics.median(all):,.0f} µs" for all in (p50s, p99s)]
        print(f"| {in_flight} | {who} | {middle[who]:,.0f} ({spread}) | {times[0]} | {times[1]} |")
    print(f"| {in_flight} | gateway / direct | {middle['gateway'] / middle['direct']:.2f} | | |")
PYTHON
