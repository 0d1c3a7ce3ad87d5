#!/usr/bin/env bash
# What the tests want from the machine beside .venv. Debian packages are installed where we may (root); where we may
# not, the tests that need them skip and say why. Redis and PostgreSQL also come as wheels, so nothing else is vital.
set -euo pipefail
wanted=()
[ -n "$(tools/machine_redis.sh)" ] || wanted+=(redis-server)
command -v chromium >/dev/null || wanted+=(chromium)
command -v jq >/dev/null || wanted+=(jq)
PATH=$PATH:/usr/sbin:/sbin command -v ip >/dev/null || wanted+=(iproute2)
command -v ssh-keygen >/dev/null || wanted+=(openssh-client)
command -v openssl >/dev/null || wanted+=(openssl)
command -v faketime >/dev/null || wanted+=(faketime)
command -v qrencode >/dev/null || wanted+=(qrencode)
command -v pgbouncer >/dev/null || wanted+=(pgbouncer)
PATH=$PATH:/usr/sbin:/sbin command -v nginx >/dev/null || wanted+=(nginx-light)
rtsp=tests/integration/camera/rtsp_source.py
# Debian's own interpreter: its GStreamer binding is no PyPI package
/usr/bin/python3 "$rtsp" --check 2>/dev/null || mapfile -t -O "${#wanted[@]}" wanted < <(.venv/bin/python "$rtsp" --packages | xargs -n 1)
# an S3 server: Swift is Debian's package, too
/usr/bin/python3 tests/support/swift_servers.py --check 2>/dev/null || wanted+=("$(.venv/bin/python tests/support/swift_servers.py --packages)")
[ ${#wanted[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "missing: ${wanted[*]} (as root, this script installs them)"
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
for attempt in 1 2 3; do
  # RUNLEVEL=1: Debian starts a redis-server on 6379 at installation; the tests start their own
  if apt-get update -q && RUNLEVEL=1 apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "${wanted[@]}"; then
    exit 0
  fi
  echo "attempt $attempt of 3 failed" >&2
done
exit 1
