#!/usr/bin/env bash
# The image of a Pi-like host: Debian bookworm with systemd, NetworkManager, sudo and ssh, as Raspberry Pi OS Lite
# has them, and without Docker. Its root file system is kept as an archive in the lab's state directory.
# shellcheck source=lab/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lab/lib.sh"

SUITE="${PI_HOST_SUITE:-bookworm}"
BASE="visant-lab/pi-host-base:$SUITE"
IMAGE="visant-lab/pi-host:$SUITE"
ARCHIVE="$LAB_STATE/rootfs/pi-host-$SUITE.tar.gz"
PACKAGES=(systemd-sysv dbus network-manager sudo python3 openssh-client openssh-server ca-certificates iproute2 kmod
    procps logrotate iptables)

build() {
    local work
    mkdir -p "$LAB_STATE/rootfs" "$LAB_STATE/debs"
    work=$(mktemp -d "$LAB_STATE/rootfs/.pi-host.XXXXXX")
    # shellcheck disable=SC2064  # the path of now
    trap "discard '$work'; rm -f '$ARCHIVE.part'" EXIT
    say "building the Pi-like host's root file system from Debian $SUITE"
    try_debootstrap() {
        discard "$work/root"
        nice debootstrap --variant=minbase --keyring="$(debian_keyring)" --cache-dir="$LAB_STATE/debs" \
            "$SUITE" "$work/root" "$(debian_mirror)"
    }
    retry 3 quietly debootstrap-pi-host try_debootstrap || die "debootstrap failed: look at $LAB_STATE/log/debootstrap-pi-host.log"
    # Not by debootstrap's --include: bookworm's polkitd does not configure there.
    printf '#!/bin/sh\nexit 101\n' >"$work/root/usr/sbin/policy-rc.d"
    chmod 755 "$work/root/usr/sbin/policy-rc.d"
    install_more() {
        local environment=(DEBIAN_FRONTEND=noninteractive LC_ALL=C)
        nice chroot "$work/root" env "${environment[@]}" apt-get -qq update &&
            nice chroot "$work/root" env "${environment[@]}" apt-get -qq -o APT::Sandbox::User=root \
                -o Dpkg::Options::=--force-unsafe-io install -y --no-install-recommends "${PACKAGES[@]}"
    }
    retry 3 quietly pi-host-packages install_more || die "packages failed: look at $LAB_STATE/log/pi-host-packages.log"
    rm -f "$work/root/usr/sbin/policy-rc.d"
    rm -rf "$work"/root/var/cache/apt/* "$work"/root/var/lib/apt/lists/* "$work"/root/usr/share/{doc,man,locale}/*
    # As on a freshly flashed card: no identity yet, the first boot makes it.
    : >"$work/root/etc/machine-id"
    rm -f "$work/root/var/lib/dbus/machine-id" "$work"/root/etc/ssh/ssh_host_*
    mkdir -p "$work/root/boot/firmware"
    nice tar -C "$work/root" --numeric-owner --one-file-system -cf - . | nice gzip -1 >"$ARCHIVE.part"
    mv "$ARCHIVE.part" "$ARCHIVE"
    discard "$work"
    trap - EXIT
}

# Where a Pi differs from a container of this machine's Engine.
dockerfile() {
    cat <<DOCKERFILE
FROM $BASE
# The wired network is set up from outside here, by this machine's Engine, and there is no udev to tell NetworkManager
# which interfaces are a Docker's: it would ask them all for an address by DHCP, and take away the one they have.
RUN printf '[keyfile]\\nunmanaged-devices=interface-name:eth*;interface-name:veth*;interface-name:br-*;interface-name:docker*\\n' \
    >/etc/NetworkManager/conf.d/lab.conf
LABEL visant.pi-host.made-by=$KEY
DOCKERFILE
}

need_root
KEY=$(sha256sum "${BASH_SOURCE[0]}" | cut -c1-16)
[ "$(docker image inspect --format '{{index .Config.Labels "visant.pi-host.made-by"}}' "$IMAGE" 2>/dev/null)" != "$KEY" ] || exit 0
command -v debootstrap >/dev/null || die "debootstrap is missing: apt-get install debootstrap (make lab does it)"
[ -s "$ARCHIVE" ] || build
docker image inspect "$BASE" >/dev/null 2>&1 ||
    docker import -c 'CMD ["/sbin/init"]' -c 'ENV container=docker' "$ARCHIVE" "$BASE" >/dev/null
work=$(mktemp -d)
dockerfile >"$work/Dockerfile"
quietly pi-host-image docker build --tag "$IMAGE" "$work" || die "the image was not built: look at $LAB_STATE/log/pi-host-image.log"
rm -rf "$work"
say "$IMAGE is ready"
