#!/usr/bin/env bash
# Makes .venv with every workspace package and what development needs, from the hash-pinned locks.
# Safe to run again; does nothing where the locks have not changed.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
stamp=.venv/.setup-done

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "PYTHON=$python is older than 3.11: name a newer one, e.g. \`make PYTHON=python3.12 setup\`" >&2
  exit 2
}
wanted=$(cat requirements/uv.txt requirements/dev.txt ./*/pyproject.toml services/*/pyproject.toml tools/setup.sh \
  tools/image/web.sh cloud/web/package-lock.json | sha256sum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0

retry() { # package downloads fail now and then; a wrong hash fails each time
  local attempt
  for attempt in 1 2 3; do
    "$@" && return
    echo "attempt $attempt of 3 failed: $1" >&2
    sleep "$attempt"
  done
  return 1
}

(
  flock 9 # two `make` at once in one folder
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0
  echo "setting up .venv (once; about a minute)"
  [ -x .venv/bin/python ] || "$python" -m venv .venv || {
    rm -rf .venv
    echo "$python cannot make a virtual environment: install it, e.g. \`apt-get install python3-venv\`" >&2
    exit 2
  }
  retry .venv/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
  retry .venv/bin/uv pip install -q --compile-bytecode --python .venv/bin/python --require-hashes -r requirements/dev.txt
  # uv_build is part of uv: building the workspace's own packages downloads nothing
  .venv/bin/uv pip install -q --python .venv/bin/python --no-deps \
    -e contract -e runtime -e services/camera -e services/connector -e services/uploader -e cloud -e cli
  retry tools/image/web.sh .venv/bin/uv cloud/src/visant_cloud/static/vendor
  echo "$wanted" >"$stamp"
) 9>.setup.lock
