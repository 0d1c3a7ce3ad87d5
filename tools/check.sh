#!/usr/bin/env bash
# The inner loop: format, lint, types and unit tests, none of which needs anything of the machine. Prints each step's
# time. check.sh [PYTEST-ARGUMENT...]: instead of all unit tests, e.g. tests/unit/camera.
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
# four workers: some tests wait for a thread or a process
tests -n "${CHECK_WORKERS:-4}" "$@"
end_types
printf '%-34s      %3d s\n' "make check" "$SECONDS"
