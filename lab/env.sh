#!/usr/bin/env bash
# Prints the build settings of this machine: eval "$(lab/env.sh)". Nothing is printed where the usual base
# images serve.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if docker image inspect "$LAB_PYTHON_IMAGE" "$LAB_REDIS_IMAGE" >/dev/null 2>&1; then
    printf 'export PYTHON_IMAGE=%s\nexport REDIS_IMAGE=%s\n' "$LAB_PYTHON_IMAGE" "$LAB_REDIS_IMAGE"
fi
