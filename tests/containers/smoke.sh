#!/usr/bin/env bash
# `make smoke-containers N=20`: a stack of its own, N triggers through the cloud's public endpoint, one line of
# JSON last. Fails as well when a container was restarted meanwhile: `up --wait` does not see a crash loop.
# shellcheck source=tests/containers/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_engine
build_images
project="visant-smoke-$$"
export CLOUD_PORT=0 CAMERA_PORT=0

finish() {
    local status=$?
    [ "$status" = 0 ] || emulation "$project" logs --no-color --tail 40 >&2 || true
    emulation "$project" down --volumes --remove-orphans --timeout 5 >/dev/null 2>&1 || true
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

emulation "$project" up -d --no-build --wait --wait-timeout 120 >/dev/null 2>&1 || die "the stack did not become healthy"
result=$(.venv/bin/python -m emulation.smoke -n "${N:-20}" --url "http://$(emulation "$project" port cloud 8000)") || {
    printf '%s\n' "$result"
    exit 1
}
emulation "$project" ps -aq | while read -r id; do
    read -r name restarts <<<"$(docker inspect -f '{{.Name}} {{.RestartCount}}' "$id")"
    [ "$restarts" = 0 ] || die "${name#/} was restarted $restarts times"
done
printf '%s\n' "$result"
