#!/usr/bin/env bash
# `make test-containers`: hardening, Redis with damaged files, a camera node that comes later, the device as a
# technician starts it; and, where SHORT is not set, an arm64 image built and run here.
# shellcheck source=tests/containers/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_engine
[ -x .venv/bin/pytest ] || tools/setup.sh
build_images
# They wait for containers more than they compute.
.venv/bin/pytest tests/containers -p no:cacheprovider -n "${TEST_WORKERS:-3}" --dist loadfile --durations 5 "$@"
[ -n "${SHORT:-}" ] || [ $# -gt 0 ] || tests/containers/arm64.sh
