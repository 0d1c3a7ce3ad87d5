#!/usr/bin/env bash
# What `make faults` and `make bench` want from the machine beside .venv: installed where we may (root on Debian).
# Where we may not, the scenarios that need it are skipped and say why.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
wanted=()
command -v ip >/dev/null || wanted+=(iproute2)
command -v mkfs.ext4 >/dev/null || wanted+=(e2fsprogs)
command -v unshare >/dev/null || wanted+=(util-linux)
compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || wanted+=(libfaketime)
[ ${#wanted[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "missing: ${wanted[*]} (as root, this script installs them)"
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
for attempt in 1 2 3; do
  if apt-get update -q >/dev/null &&
    apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "${wanted[@]}" >/dev/null; then
    exit 0
  fi
  echo "attempt $attempt of 3 failed: ${wanted[*]}" >&2
done
exit 1
