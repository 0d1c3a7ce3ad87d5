#!/usr/bin/env bash
# run.sh [PYTEST-ARGUMENT...]: the camera's cases inside the rig's machine; sets up what is missing.
# SHORT=1 leaves out the long ones. RIG_PYTHON: another interpreter than the tree's own.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
cd "$tree"
python=${RIG_PYTHON:-$tree/.venv/bin/python}
[ -x "$python" ] || tools/setup.sh
"$here/setup.sh"
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
"$python" -m tests.camera_rig.make_pictures "$results/pictures"
# Compiled once here, not on every start inside the slow machine, where the tree cannot be written.
"$python" - <<'PYTHON'
import compileall, pathlib, sysconfig
packages = pathlib.Path(sysconfig.get_paths()["purelib"])
for name in ("pytest", "_pytest", "pluggy", "uvicorn", "starlette", "anyio", "pydantic", "pydantic_settings", "structlog",
             "prometheus_client", "numpy", "cv2", "typing_extensions.py", "annotated_types", "h11", "click", "pygments"):
    path = packages / name
    (compileall.compile_dir if path.is_dir() else compileall.compile_file)(path, quiet=2)
for path in ("contract/src", "runtime/src", "services/camera/src", "tests/camera_rig"):
    compileall.compile_dir(path, quiet=2)
PYTHON
chosen=("$@")
[ -z "${SHORT:-}" ] || chosen+=(-m "not long")
started=$SECONDS status=0
"$here/boot.sh" "$results" env PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 "$python" -m pytest -c tests/camera_rig/pytest.ini --rootdir tests/camera_rig \
  -p pytest_timeout "${chosen[@]}" || status=$?
echo "camera rig: exit status $status after $((SECONDS - started)) s"
exit "$status"
