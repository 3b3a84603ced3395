#!/usr/bin/env bash
# Official clients of MCP against `jackfield mcp` and a gateway's /mcp. Installs them in a temporary directory.
# Ends with 0 when all went well, 3 when a client could not be had (it says which), 1 when something is broken.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
server=
cleanup() {
  [ -z "$server" ] || { kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; } || true
  rm -rf "$work"
}
trap cleanup EXIT

# As the tests build it: another selection would compile wasmtime once more.
cargo test --workspace --test demo --no-run
jackfield=$(cd "${CARGO_TARGET_DIR:-target}/debug" && pwd)/jackfield
mkdir "$work/plugins"
cp plugins/{calc,shapes,text}/*.wasm "$work/plugins"
export JACKFIELD_STATE="$work/state"
"$jackfield" dev -p 0 "$work/plugins" >"$work/out" 2>"$work/log" &
server=$!
said() { sed -n "$1" "$work/out"; }
for _ in $(seq 600); do
  registry=$(said 's/.*registry listening on \([0-9.:]*\).*/\1/p')
  url=$(said 's/.*for agents \([^;]*\).*/\1/p')
  [ -z "$registry" ] || [ -z "$url" ] || break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.1
done
[ -n "${url:-}" ] || { cat "$work/out" "$work/log"; exit 1; }

skipped=0
# skip WHAT LOG
skip() { echo "skipped: $1 could not be installed:"; tail -n 3 "$2"; skipped=3; }

cp "$root"/tests/mcp/client.* "$work"
cd "$work"
if npm install --no-audit --no-fund --prefix "$work" @modelcontextprotocol/sdk@1.32.2 >npm.log 2>&1; then
  node client.mjs stdio "$jackfield" "$registry" plugins "$root/plugins/greeter/greeter.wasm"
  node client.mjs http "$url" plugins "$root/plugins/greeter/greeter.wasm"
else
  skip "the client for JavaScript" npm.log
fi
if python3 -m venv python >pip.log 2>&1 && python/bin/pip -q install mcp==2.3.0 >>pip.log 2>&1; then
  python/bin/python client.py stdio "$jackfield" "$registry" plugins "$root/plugins/greeter/greeter.wasm"
  python/bin/python client.py http "$url" plugins "$root/plugins/greeter/greeter.wasm"
else
  skip "the client for Python" pip.log
fi
exit "$skipped"
