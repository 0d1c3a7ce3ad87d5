#!/usr/bin/env bash
# lock.sh          compiles requirements/*.txt anew, keeping the pins that still fit
# lock.sh --check  fails where a file would change (a dependency was edited without `make lock`)
# lock.sh --upgrade takes the newest versions
#
# One resolution for all: dev.txt is compiled from every deployable together, and each deployable is then
# compiled under dev.txt as its constraint, so that tests run what ships.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
mode=${1:-}
out=requirements
if [ "$mode" = --check ]; then
  out=$(mktemp -d)
  trap 'rm -rf "$out"' EXIT
  cp requirements/*.txt "$out"/
fi
upgrade=()
[ "$mode" = --upgrade ] && upgrade=(--upgrade)

compile() { # compile NAME SOURCE...
  local name=$1
  shift
  "$uv" pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-emit-package visant-contract --no-emit-package visant-runtime --no-header --no-annotate \
    "${upgrade[@]}" "$@" -o "$out/$name.txt"
}
members=(contract runtime services/camera services/connector services/uploader cloud cli)
compile uv requirements/uv.in
compile node requirements/node.in # an npm for machines that have none
compile dev requirements/dev.in "${members[@]/%//pyproject.toml}" -c "$out/uv.txt"
for name in camera connector uploader; do
  compile "$name" "services/$name/pyproject.toml" -c "$out/dev.txt"
done
compile cloud cloud/pyproject.toml -c "$out/dev.txt"
compile cli cli/pyproject.toml --extra keyring -c "$out/dev.txt"

if [ "$mode" = --check ]; then
  for file in requirements/*.txt; do
    if ! diff -q "$file" "$out/$(basename "$file")" >/dev/null; then
      echo "$file is not current: run \`make lock\` and commit it" >&2
      exit 1
    fi
  done
  echo "requirements are current"
fi
