#!/usr/bin/env bash
# `make pi-host`: a device's life on hosts with systemd, NetworkManager and a Docker of their own, inside containers of
# this machine's Engine. ONLY=word for the tests whose name has it, SHORT=1 for a part of at most ten minutes,
# PI_HOST_SUITE=trixie for hosts of that Debian, KEEP=1 leaves the hosts running.
set -euo pipefail
# shellcheck source=tests/containers/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../containers/lib.sh"

docker version --format '{{.Server.Version}}' >/dev/null 2>&1 || lab/up.sh
[ -x .venv/bin/pytest ] || tools/setup.sh
from=$SECONDS
# Not the commit's: the images stay the same, and need no packing, where nothing in them has changed.
REVISION=pi-host build_images
tests/pi_host/image.sh
echo "images of the device and of the host: $((SECONDS - from)) s"

export PI_HOST_RUN=${PI_HOST_RUN:-$$}
sweep() { # what a run that was killed leaves; pytest itself takes away the rest
    [ -z "${KEEP:-}" ] || return 0
    local label="label=visant.pi-host=$PI_HOST_RUN"
    docker ps --all --quiet --filter "$label" | xargs -r docker rm --force --volumes >/dev/null
    docker volume ls --quiet --filter "name=^visant-pi-$PI_HOST_RUN-" | xargs -r docker volume rm >/dev/null
    ! mountpoint -q "/tmp/visant-pi-$PI_HOST_RUN-card" || umount --lazy "/tmp/visant-pi-$PI_HOST_RUN-card"
    rm -f "/tmp/visant-pi-$PI_HOST_RUN-card.img"
    [ ! -d "/tmp/visant-pi-$PI_HOST_RUN-card" ] || rmdir "/tmp/visant-pi-$PI_HOST_RUN-card"
    docker network ls --quiet --filter "$label" | xargs -r docker network rm >/dev/null
}
trap sweep EXIT
trap 'exit 130' INT TERM
marks=(-s)
# Two files side by side, which wait more than they compute: each worker has a network, a cloud and hosts of its own.
# What the tests print then stands at the end.
[ -z "${SHORT:-}" ] || marks=(-m short -n "${TEST_WORKERS:-2}" --dist loadfile --no-loadscope-reorder -rP)
.venv/bin/python -m pytest -c tests/pi_host/pytest.ini --rootdir . "${marks[@]}" ${ONLY:+-k "$ONLY"} "${@:-tests/pi_host}" &
wait $!
