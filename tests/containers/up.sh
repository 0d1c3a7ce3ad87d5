#!/usr/bin/env bash
# `make up`: the stack with the fake camera and a cloud, from images built here; prints the page's address.
# shellcheck source=tests/containers/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_engine
build_images
if [ -z "$(emulation visant-emulation ps -q cloud)" ]; then
    CLOUD_PORT=${CLOUD_PORT:-$(free_port 8000)}
    CAMERA_PORT=${CAMERA_PORT:-$(free_port 8080)}
else # the ports it has
    CLOUD_PORT=${CLOUD_PORT:-$(emulation visant-emulation port cloud 8000 | sed 's/.*://')}
    CAMERA_PORT=${CAMERA_PORT:-$(emulation visant-emulation port camera 8080 | sed 's/.*://')}
fi
export CLOUD_PORT CAMERA_PORT
emulation visant-emulation up -d --no-build --wait --wait-timeout 120 || {
    emulation visant-emulation logs --tail 15 >&2
    die "not every service became healthy within two minutes: its last lines are above"
}
echo "cloud   http://$(emulation visant-emulation port cloud 8000)/"
echo "camera  http://$(emulation visant-emulation port camera 8080)/"
echo "logs    docker compose -p visant-emulation logs -f        end  make down"
