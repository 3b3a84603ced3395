#!/usr/bin/env bash
# The web console in a real browser: tests/console.sh [--picture]
#
# --picture tests nothing: it keeps calls coming for a minute and writes docs/console.png. Installs its tools in target/console; Chromium
# comes from the system, by apt where it is missing and that may be.
# Exit status: 0 all held, 3 a tool was missing (the reason is above), 1 something is broken.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
skip() { echo "skipped: $*"; exit 3; }

command -v node >/dev/null && command -v npm >/dev/null || skip "there is no node and npm on this machine"
browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
if ! browser >/dev/null; then
  command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || skip "there is no Chromium, and only root can install it"
  apt-get update -q && apt-get install -qy --no-install-recommends chromium fonts-liberation \
    || skip "Chromium could not be installed"
fi
mkdir -p target/console
if ! (cd target/console && [ -d node_modules/playwright-core ] && [ -d node_modules/axe-core ]); then
  echo '{ "private": true }' >target/console/package.json
  npm install --silent --no-audit --no-fund --prefix target/console playwright-core@1.65.1 axe-core@4.14.1 \
    || skip "playwright-core and axe-core could not be installed from npm"
fi

cargo test --workspace --test demo --no-run
target=${CARGO_TARGET_DIR:-$root/target}
JACKFIELD=$target/debug/jackfield CHROMIUM=$(browser) node tests/console.mjs "$@"
