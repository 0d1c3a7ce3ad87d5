#!/usr/bin/env bash
# Prints the build settings of this machine: eval "$(lab/env.sh [PLATFORM])". Nothing is printed where the
# usual base images serve. For another architecture than this machine's, the base to run on is a second image.
# shellcheck source=lab/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

have() { docker image inspect "$@" >/dev/null 2>&1; }

have "$LAB_PYTHON_IMAGE" "$LAB_REDIS_IMAGE" || exit 0
printf 'export PYTHON_IMAGE=%s\n' "$LAB_PYTHON_IMAGE"
case "${1:-}" in
"" | "$(docker version --format '{{.Server.Os}}/{{.Server.Arch}}')") printf 'export REDIS_IMAGE=%s\n' "$LAB_REDIS_IMAGE" ;;
linux/arm64)
    have "$LAB_PYTHON_IMAGE-arm64" "$LAB_REDIS_IMAGE-arm64" ||
        die "there is no arm64 base image on this machine: run lab/arm64.sh"
    printf 'export RUNTIME_IMAGE=%s\n' "$LAB_PYTHON_IMAGE-arm64"
    printf 'export REDIS_IMAGE=%s\n' "$LAB_REDIS_IMAGE-arm64"
    ;;
*) die "PLATFORM=$1: the lab has base images for this machine and for linux/arm64" ;;
esac
