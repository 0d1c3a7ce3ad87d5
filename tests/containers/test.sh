#!/usr/bin/env bash
# `make test-containers`: hardening, Redis with damaged files, a camera node that comes later.
# shellcheck source=tests/containers/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_engine
[ -x .venv/bin/pytest ] || tools/setup.sh
build_images
exec .venv/bin/pytest tests/containers -p no:cacheprovider "$@"
