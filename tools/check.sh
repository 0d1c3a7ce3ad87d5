#!/usr/bin/env bash
# The inner loop: format, lint, types and unit tests, none of which needs anything of the machine. Prints each step's
# time. Properties are tried on a quarter of the examples of `make test`.
# check.sh [PYTEST-ARGUMENT...]: instead of all unit tests, e.g. tests/unit/camera.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh
export PATH=$PWD/.venv/bin:$PATH
# shellcheck source=tools/steps.sh
. tools/steps.sh

step "ruff format" ruff format --check .
step "ruff check" ruff check .
begin_types
[ $# -gt 0 ] || set -- tests/unit
# three workers: some tests wait for a thread, and each worker more collects all tests once more (7 s of CPU)
tests -n "${CHECK_WORKERS:-3}" --hypothesis-profile quick "$@"
end_types
printf '%-34s      %3d s\n' "make check" "$SECONDS"
