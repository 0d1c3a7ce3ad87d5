#!/usr/bin/env bash
# Prepares what the rig's virtual machine needs, once: QEMU, a stock Debian kernel, a small initrd.
# Safe to run again; everything lands in RIG_STATE (about 600 MB). Needs root only where packages are missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
state=${RIG_STATE:-${XDG_CACHE_HOME:-$HOME/.cache}/visant-camera-rig}
kernel_package=${RIG_KERNEL_PACKAGE:-linux-image-amd64} # a meta package, or one exact linux-image-...
mkdir -p "$state"
exec 9>"$state/setup.lock"
flock 9
stamp="$kernel_package $(sha256sum "$here/setup.sh" "$here/init.sh" | sha256sum)"
if [ "$(cat "$state/ready" 2>/dev/null)" = "$stamp" ]; then
  exit 0
fi
rm -f "$state/ready"

apt() { apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"; }
missing=()
for need in qemu-system-x86_64:qemu-system-x86 busybox:busybox-static depmod:kmod cpio:cpio xz:xz-utils; do
  PATH=$PATH:/usr/sbin:/sbin command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
done
[ -e /usr/share/seabios/bios-256k.bin ] || missing+=(seabios)
[ -e /usr/share/qemu/linuxboot_dma.bin ] || missing+=(qemu-system-data)
apt-cache show "$kernel_package" >/dev/null 2>&1 || missing+=(:update)
if [ ${#missing[@]} -gt 0 ]; then
  [ "$(id -u)" = 0 ] || { echo "camera rig: run as root once, or install: ${missing[*]}" >&2; exit 2; }
  apt update >/dev/null
  packages=("${missing[@]/:update/}")
  # shellcheck disable=SC2068 # empty elements must vanish
  apt install -y --no-install-recommends ${packages[@]} >/dev/null
fi
PATH=$PATH:/usr/sbin:/sbin

if ! ls "$state"/kernel/boot/vmlinuz-* >/dev/null 2>&1 || [ "$(cat "$state/kernel.package" 2>/dev/null)" != "$kernel_package" ]; then
  image=$(apt-cache depends "$kernel_package" | awk '/Depends: linux-image-/{print $2; exit}')
  rm -rf "$state/kernel" "$state/download"
  mkdir -p "$state/kernel" "$state/download"
  (cd "$state/download" && chmod 777 . && apt download "${image:-$kernel_package}" && dpkg -x ./*.deb "$state/kernel")
  rm -rf "$state/download"
  echo "$kernel_package" >"$state/kernel.package"
fi
# From Debian 13 on the modules live under usr/lib and are compressed; kmod wants lib/modules.
[ -d "$state/kernel/lib/modules" ] || ln -sfn usr/lib "$state/kernel/lib"
release=$(basename "$state"/kernel/boot/vmlinuz-* | sed s/vmlinuz-//)
depmod -b "$state/kernel" "$release"

root=$state/initrd
rm -rf "$root"
mkdir -p "$root"/{bin,modules,proc,sys,dev,host}
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$here/init.sh" "$root/init"
chmod +x "$root/init"
for module in virtio_pci 9pnet_virtio 9p; do
  modprobe -d "$state/kernel" -S "$release" --show-depends "$module"
done | awk '$1 == "insmod" && !seen[$2]++ {print $2}' | while read -r path; do
  name=$(basename "$path" .xz)
  case $path in *.xz) xz -dc "$path" >"$root/modules/$name" ;; *) cp "$path" "$root/modules/$name" ;; esac
  echo "$name" >>"$root/modules/order"
done
(cd "$root" && find . | cpio -o -H newc 2>/dev/null | gzip -1) >"$state/initrd.gz"
echo "$stamp" >"$state/ready"
echo "camera rig ready in $state (kernel $release)"
