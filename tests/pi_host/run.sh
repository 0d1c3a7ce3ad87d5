#!/usr/bin/env bash
# `make pi-host`: a device's life on a host with systemd, NetworkManager and a Docker of its own, inside a container of
# this machine's Engine. ONLY=word for the tests whose name has it (the installation comes along).
set -euo pipefail
# shellcheck source=tests/containers/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../containers/lib.sh"

docker version --format '{{.Server.Version}}' >/dev/null 2>&1 || lab/up.sh
[ -x .venv/bin/pytest ] || tools/setup.sh
build_images
tests/pi_host/image.sh
exec .venv/bin/python -m pytest -c tests/pi_host/pytest.ini --rootdir . ${ONLY:+-k "$ONLY"} -s "${@:-tests/pi_host}"
