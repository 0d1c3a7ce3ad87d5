#!/usr/bin/env bash
# boot.sh RESULTS_DIR COMMAND...: runs COMMAND inside the rig's machine and exits with its status.
# The machine sees the host's / read-only and RESULTS_DIR as /run/results; only /run and /dev are writable.
# RIG_TIMEOUT bounds the whole run, in seconds. RIG_ACCEL=kvm is several times faster where KVM works; a /dev/kvm that
# may be opened proves nothing: one inside another virtual machine has hung here with the kernel half booted.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
state=${RIG_STATE:-${XDG_CACHE_HOME:-$HOME/.cache}/visant-camera-rig}
results=$(realpath "$1")
shift
{
  echo "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/run TMPDIR=/dev/shm"
  echo "export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 RIG_KERNEL=$(printf %q "$state/kernel")"
  printf 'cd %q\n' "$(cd "$here/../.." && pwd)"
  printf 'exec'
  printf ' %q' "$@"
  echo
} >"$results/command"
rm -f "$results/exit_status"
limit=${RIG_TIMEOUT:-1500}
status=0
timeout --foreground "$limit" qemu-system-x86_64 \
  -machine pc -accel "${RIG_ACCEL:-tcg,thread=multi}" -cpu max -smp 2 -m 2048 -nographic -no-reboot -nic none \
  -kernel "$state"/kernel/boot/vmlinuz-* -initrd "$state/initrd.gz" \
  -append "console=ttyS0 quiet loglevel=2 panic=-1 mitigations=off" \
  -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
  -virtfs "local,path=$results,mount_tag=results,security_model=none" \
  </dev/null | sed -u -e 's/\x1b[^a-zA-Z]*[a-zA-Z]//g' -e 's/\r//g' -e 's/^SeaBIOS (version[^)]*)//' -e 's/Booting from ROM\.*//' ||
  status=$?
if [ "$status" = 124 ]; then
  echo "camera rig: the machine did not end within $limit s" >&2
elif [ "$status" != 0 ]; then
  echo "camera rig: QEMU ended with $status" >&2
elif [ ! -s "$results/exit_status" ]; then
  echo "camera rig: the machine stopped before its command ended" >&2
  status=125
else
  status=$(cat "$results/exit_status")
fi
exit "$status"
