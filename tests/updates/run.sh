#!/usr/bin/env bash
# `make test-updates`: the Engine and base images by lab/up.sh, then the tests. SHORT=1 for a subset,
# ONLY=word for those whose name has it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

docker version --format '{{.Server.Version}}' >/dev/null 2>&1 || lab/up.sh
eval "$(lab/env.sh)"
# The real services' images, for the tests under traffic and from the release before.
if [[ -z "${ONLY:-}" || "$ONLY" == *traffic* || "$ONLY" == *before* ]]; then
    PROGRESS=plain tools/images.sh >/dev/null 2>&1 || { echo "make images fails: it says why" >&2; exit 1; }
fi
# A run that is told to end takes its containers along; what one that was killed had to leave, the last line removes.
trap : INT TERM
status=0
# They wait more than they compute; each worker has a registry and releases of its own. In the order of conftest.py, in
# which the longest files are not the last.
.venv/bin/python -m pytest -c tests/updates/pytest.ini --rootdir . -n "${TEST_WORKERS:-3}" --dist loadfile \
    --no-loadscope-reorder ${SHORT:+-m "not long"} ${ONLY:+-k "$ONLY"} "${@:-tests/updates}" || status=$?
PYTHONPATH=. .venv/bin/python -m tests.updates.leftovers
exit "$status"
