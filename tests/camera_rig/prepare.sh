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
# Compiled once here: the machine is slow and cannot write into the tree.
"$python" - <<'PYTHON'
import compileall
import pathlib
import sysconfig

packages = pathlib.Path(sysconfig.get_paths()["purelib"])
for name in ("pytest", "_pytest", "pluggy", "iniconfig", "pygments", "packaging", "uvicorn", "starlette", "anyio",
             "pydantic", "pydantic_settings", "pydantic_core", "dotenv", "structlog", "prometheus_client", "numpy",
             "cv2", "h11", "click", "idna", "uvloop", "httptools", "annotated_types", "typing_inspection"):
    compileall.compile_dir(packages / name, quiet=2)
compileall.compile_file(packages / "typing_extensions.py", quiet=2)
compileall.compile_file(packages / "pytest_timeout.py", quiet=2)
for path in ("contract/src", "runtime/src", "services/camera/src", "tests/camera_rig"):
    compileall.compile_dir(path, quiet=2)
PYTHON
