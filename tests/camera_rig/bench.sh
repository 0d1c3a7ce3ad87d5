#!/usr/bin/env bash
# bench.sh [REQUESTS]: the camera bench inside the rig's machine; a table, then one line of JSON.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if ! command -v ustreamer >/dev/null; then
  [ "$(id -u)" = 0 ] || { echo "camera bench: run as root once, or install: ustreamer" >&2; exit 2; }
  apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 ustreamer >/dev/null
fi
# shellcheck source=tests/camera_rig/prepare.sh
. "$here/prepare.sh"
echo "host: $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg), $(date -u +%F)"
RIG_TIMEOUT=${RIG_TIMEOUT:-2400} "$here/boot.sh" "$results" "$python" -m tests.camera_rig.bench "${1:-300}"
echo "host: load afterwards $(cut -d' ' -f1-3 /proc/loadavg)"
cat "$results/bench.json"
echo
