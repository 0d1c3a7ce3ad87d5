#!/usr/bin/env bash
# run.sh [PYTEST-ARGUMENT...]: the camera's cases inside the rig's machine; sets up what is missing.
# SHORT=1 leaves out the long ones. RIG_PYTHON: another interpreter than the tree's own. RIG_TIMEOUT: seconds at most.
set -euo pipefail
started=$SECONDS
# shellcheck source=tests/camera_rig/prepare.sh
. "$(dirname "$0")/prepare.sh"
chosen=("$@")
[[ "$*" == *tests/camera_rig/case_* ]] || chosen+=(tests/camera_rig)
[ -z "${SHORT:-}" ] || chosen+=(-m "not long")
booted=$SECONDS status=0
tests/camera_rig/boot.sh "$results" env PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 \
  "$python" -m pytest -c tests/camera_rig/pytest.ini --rootdir tests/camera_rig -p pytest_timeout "${chosen[@]}" || status=$?
echo "camera rig: exit status $status; set up in $((booted - started)) s, run in $((SECONDS - booted)) s"
exit "$status"
