#!/usr/bin/env bash
# Base images for linux/arm64 on an x86 machine, and the means to run them: qemu-user from Debian's packages.
# About a minute for each of the two images, once; the archives in the state directory are used afterwards.
#
#   lab/arm64.sh run    only makes arm64 programs run on this machine (seconds)
#   lab/arm64.sh        that, and the base images
# shellcheck source=lab/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

BINFMT=/proc/sys/fs/binfmt_misc

# With the F flag the kernel opens the interpreter at registration, so that it works inside containers too.
run_arm64() {
    [ "$(dpkg --print-architecture)" != arm64 ] || return 0
    [ -e "$BINFMT/register" ] || {
        need_root
        mount -t binfmt_misc binfmt_misc "$BINFMT" 2>/dev/null ||
            die "this kernel has no binfmt_misc: arm64 images can be built here, but not run"
    }
    if [ ! -e "$BINFMT/qemu-aarch64" ] || ! grep -q '^flags:.*F' "$BINFMT/qemu-aarch64"; then
        need_root
        install_qemu() { DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends qemu-user-static debootstrap; }
        quietly arm64 install_qemu || quietly arm64 apt-get -qq update || true
        retry 3 quietly arm64 install_qemu || die "qemu-user-static did not install: look at $LAB_STATE/log/arm64.log"
        [ ! -e "$BINFMT/qemu-aarch64" ] || echo -1 >"$BINFMT/qemu-aarch64"
        grep -h '^:qemu-aarch64:' /usr/lib/binfmt.d/qemu-aarch64.conf >"$BINFMT/register"
    fi
    say "arm64 programs run on this machine"
}

mkdir -p "$LAB_STATE"
run_arm64
[ "${1:-}" = run ] || LAB_ARCH=arm64 LAB_BASES=always "$here/bases.sh"
