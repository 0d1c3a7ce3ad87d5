#!/usr/bin/env bash
# Everything that needs no container and no VM: lint, types, locks, unit and integration tests. Prints each step's time.
# test.sh [PYTEST-ARGUMENT...] passes arguments on and then runs pytest only.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh
bin=$PWD/.venv/bin
export PATH=$bin:$PATH

# shellcheck source=tools/steps.sh
. tools/steps.sh

use_machine_redis() { # the distribution's, nearer to what ships than the wheel in .venv, which is first on PATH
  local found
  found=${REDIS_SERVER:-$(tools/machine_redis.sh)}
  [ -z "$found" ] || export REDIS_SERVER=$found
}

if [ $# -gt 0 ]; then
  use_machine_redis
  exec pytest "$@"
fi
mapfile -t scripts < <(git ls-files -co --exclude-standard '*.sh' '.ci/run' | while read -r f; do [ -f "$f" ] && echo "$f"; done)
mapfile -t dockerfiles < <(git ls-files -co --exclude-standard '*Dockerfile')
begin_types
# compiled once here, beside what needs one core, and not by each worker in turn; it says nothing that pytest will not
pytest --collect-only -qq >/dev/null 2>&1 &
collected=$!
step "ruff check" ruff check .
step "ruff format" ruff format --check .
step "shellcheck" shellcheck -x "${scripts[@]}"
step "hadolint" hadolint "${dockerfiles[@]}"
step "zizmor (offline)" zizmor --offline --quiet .github
step "locks are current" tools/lock.sh --check
step "test tools of the machine" tools/test_needs.sh
use_machine_redis
wait "$collected" || true
# four workers: the tests wait for processes more than they compute
tests -n "${TEST_WORKERS:-4}" -rs
end_types
printf '%-34s      %3d s\n' "make test" "$SECONDS"
