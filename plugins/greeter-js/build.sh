#!/bin/sh
# Builds the JavaScript greeter: plugins/greeter-js/build.sh [OUTFILE]     (default: greeter-js.wasm here, ignored by git)
#
# Needs: node and npm; installs componentize-qjs into node_modules beside this file on first use.
# Exit status: 0 built, 3 a tool is missing (says which), 1 anything else.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/greeter-js.wasm}
tool=$here/node_modules/.bin/componentize-qjs

missing() { echo "skipped greeter-js: $1" >&2; exit 3; }

command -v node >/dev/null || missing "no node; install Node.js 18 or newer"
if ! [ -x "$tool" ]; then
  command -v npm >/dev/null || missing "no npm; install Node.js 18 or newer"
  (cd "$here" && npm install --no-package-lock --no-audit --no-fund >&2) || missing "npm could not install componentize-qjs (see above)"
fi

mkdir -p "$(dirname "$out")"
"$tool" --wit "$here/../greeter/wit" --world greeter --js "$here/src/greeter.js" --sync --opt-size --output "$out" >&2
