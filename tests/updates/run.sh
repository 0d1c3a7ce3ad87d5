#!/usr/bin/env bash
# `make test-updates`: the Engine and base images by lab/up.sh, then the tests. SHORT=1 for a subset,
# ONLY=word for those whose name has it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

docker version --format '{{.Server.Version}}' >/dev/null 2>&1 || lab/up.sh
eval "$(lab/env.sh)"
export PYTHON_IMAGE="${PYTHON_IMAGE:-python:3.13-slim-trixie}"
export REDIS_TEST_IMAGE=visant-updates/redis:standing
docker build --quiet ${REDIS_IMAGE:+--build-arg REDIS_IMAGE="$REDIS_IMAGE"} --tag "$REDIS_TEST_IMAGE" redis >/dev/null
exec .venv/bin/python -m pytest -c tests/updates/pytest.ini --rootdir . ${ONLY:+-k "$ONLY"} "${@:-tests/updates}"
