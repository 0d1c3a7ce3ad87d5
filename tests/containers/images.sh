#!/usr/bin/env bash
# `make images`: builds every image with buildx bake. PLATFORM=linux/arm64 (or linux/amd64) builds for another
# machine, without emulation; such images are tagged VERSION-ARCH, beside this machine's own.
set -euo pipefail
cd "$(dirname "$0")/../.."

docker buildx version >/dev/null 2>&1 || {
    echo "docker buildx is missing: run 'make lab' (Debian machine without an Engine) or install Docker with buildx" >&2
    exit 1
}
settings=$(lab/env.sh "${PLATFORM:-}") || exit 1
eval "$settings"
VERSION=${VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)}
REVISION=${REVISION:-$(git rev-parse HEAD 2>/dev/null || echo unknown)}
origin=$(git remote get-url origin 2>/dev/null || true)
case $origin in https://*@*) origin=unknown ;; https://*) ;; *) origin=unknown ;; esac
SOURCE=${SOURCE:-$origin}
export VERSION REVISION SOURCE

native=$(docker version --format '{{.Server.Os}}/{{.Server.Arch}}')
if [ -n "${PLATFORM:-}" ] && [ "$PLATFORM" != "$native" ]; then
    export TAG="$VERSION-${PLATFORM#linux/}"
fi
docker buildx bake -f docker-bake.hcl --progress "${PROGRESS:-auto}" "$@"
docker images --filter "label=org.opencontainers.image.revision=$REVISION" \
    --format 'table {{.Repository}}:{{.Tag}}\t{{.Size}}'
