#!/usr/bin/env bash
# Counts the instructions of the parts and holds them against what is checked in (`benches/parts.counts`
# of each crate), in the build that the tests have; with --bless, what is counted now is taken in.
# Ends with 3 where there is no valgrind.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { echo "SKIPPED: valgrind is not installed, so no instruction is counted"; exit 3; }
# The same bytes on every machine.
export JACKFIELD_GUESTS=checked-in
exec cargo test --workspace --no-fail-fast --bench parts -- "${1:---guard}"
