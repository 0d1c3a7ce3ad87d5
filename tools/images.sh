#!/usr/bin/env bash
# `make images`: builds every image with buildx bake, as the names that Compose asks for (visant/SERVICE:VERSION).
# PLATFORM=linux/arm64 (or linux/amd64): for another machine, without emulation; the same names, so on this machine
# they take the place of its own until the next `make images`. Arguments go to bake.
set -euo pipefail
cd "$(dirname "$0")/.."

die() {
    printf 'images: %s\n' "$*" >&2
    exit 1
}

docker buildx version >/dev/null 2>&1 ||
    die "docker buildx is missing: run 'make lab' (Debian machine without an Engine) or install Docker with buildx"
native=$(docker version --format '{{.Server.Os}}/{{.Server.Arch}}' 2>/dev/null) ||
    die "no Docker Engine answers: start it, or run 'make lab' on a Debian machine that has none"
case ${PLATFORM:=$native} in
linux/arm64 | linux/amd64) ;;
*,*) die "PLATFORM=$PLATFORM: an Engine keeps one platform a name: build one after the other ('make release' does)" ;;
*) die "PLATFORM=$PLATFORM: linux/arm64 or linux/amd64" ;;
esac
settings=$(lab/env.sh "$PLATFORM") || exit 1
eval "$settings"
VERSION=$(tools/version.py)
REVISION=${REVISION:-$(git rev-parse HEAD 2>/dev/null || echo unknown)}
origin=$(git remote get-url origin 2>/dev/null || true)
case $origin in https://*@*) origin=unknown ;; https://*) ;; *) origin=unknown ;; esac
SOURCE=${SOURCE:-$origin}
export VERSION REVISION SOURCE PLATFORM

docker buildx bake -f docker-bake.hcl --progress "${PROGRESS:-auto}" "$@"
docker images --filter "label=org.opencontainers.image.revision=$REVISION" \
    --format 'table {{.Repository}}:{{.Tag}}\t{{.Size}}'
