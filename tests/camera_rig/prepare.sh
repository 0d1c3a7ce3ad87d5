# Sourced by run.sh and bench.sh: sets up what is missing; leaves $python and $results (a folder, removed at the end).
# shellcheck shell=bash
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$tree" || exit
python=${RIG_PYTHON:-$tree/.venv/bin/python}
[ -x "$python" ] || tools/setup.sh
tests/camera_rig/setup.sh
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
"$python" -m tests.camera_rig.make_pictures "$results/pictures"
# Imported once here, so that all is compiled: the machine is slow and cannot write into the tree.
PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 "$python" -m pytest -q -c tests/camera_rig/pytest.ini --rootdir tests/camera_rig \
  -p pytest_timeout --collect-only tests/camera_rig >/dev/null
"$python" -c 'import cv2, tests.camera_rig.bench, visant_camera.commands.probe, visant_camera.commands.snapshot, visant_camera.wiring
import visant_camera.http.aiming, visant_camera.http.app, visant_camera.http.controls, visant_camera.http.server'
for part in uvc_camera warm_start; do "$python" -m py_compile "tests/camera_rig/$part.py"; done
