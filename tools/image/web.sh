#!/bin/sh
# web.sh UV TARGET: what the cloud's pages use of npm packages, by the hashes of cloud/web/package-lock.json, with
# their licences. Nothing of it is run here. For a checkout (tools/setup.sh) and for the image (cloud/Dockerfile).
# Fetched by the machine's npm; where it has none, by the one of requirements/node.txt, for which UV is asked.
set -eu
uv=$1
target=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
web=$root/cloud/web
wanted=$(cat "$web/package-lock.json" "$0" | sha256sum)
[ "$(cat "$target/.from" 2>/dev/null)" = "$wanted" ] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$web/package.json" "$web/package-lock.json" "$work"
# A site's own authority, where this machine has one: node reads neither the system's store nor pip's setting.
[ -z "${SSL_CERT_FILE:-}" ] || export NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-$SSL_CERT_FILE}"
if ! command -v npm >/dev/null; then
    "$uv" venv --quiet "$work/node"
    "$uv" pip install --quiet --python "$work/node" --require-hashes -r "$root/requirements/node.txt"
    PATH=$work/node/bin:$PATH
fi
(cd "$work" && npm ci --silent --ignore-scripts --no-audit --no-fund --no-update-notifier)

rm -rf "$target"
mkdir -p "$target"
take() { # take PACKAGE FILE...
    package=$work/node_modules/$1
    shift
    for file in "$@"; do cp "$package/$file" "$target/$(basename "$file")"; done
    cp "$package/LICENSE" "$target/$(basename "$package").LICENSE"
}
take htmx.org dist/htmx.min.js dist/ext/hx-sse.min.js
take uplot dist/uPlot.iife.min.js dist/uPlot.min.css
echo "$wanted" >"$target/.from"
