#!/bin/sh
# Builds the Python greeter: plugins/greeter-py/build.sh [OUTFILE]     (default: greeter-py.wasm here, ignored by git)
#
# Needs: python3 with venv; installs componentize-py into .venv beside this file on first use.
# Exit status: 0 built, 3 a tool is missing (says which), 1 anything else.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/greeter-py.wasm}
tool=$here/.venv/bin/componentize-py

missing() { echo "skipped greeter-py: $1" >&2; exit 3; }

if ! [ -x "$tool" ]; then
  command -v python3 >/dev/null || missing "no python3; install Python 3.10 or newer with its venv module"
  python3 -m venv "$here/.venv" >&2 || missing "python3 has no venv module (Debian: apt install python3-venv)"
  "$here/.venv/bin/pip" install --quiet componentize-py==0.25.1 >&2 || missing "pip could not install componentize-py (see above)"
fi

mkdir -p "$(dirname "$out")"
"$tool" --quiet --wit-path "$here/../greeter/wit" --world greeter componentize \
  --python-path "$here/src" app --output "$out" >&2
