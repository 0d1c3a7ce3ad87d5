#!/usr/bin/env bash
# Base images from Debian's packages, for a machine that reaches no image registry: a Python one and a
# Redis one, both trixie. Their root file systems stay as archives in the state directory, so that an
# Engine that has lost its images gets them back in seconds.
#
# LAB_BASES=auto (default): only when the usual base image cannot be pulled. always, never: as they say.
# `bases.sh debian`: instead of them a bare Debian of LAB_SUITE, for fresh_debian.sh.
# LAB_ARCH=arm64: for that architecture; arm64.sh sets it, once such programs run on this machine.
# shellcheck source=lab/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ROOTFS="$LAB_STATE/rootfs"
ARCH="${LAB_ARCH:-$(dpkg --print-architecture)}"
SUFFIX="${LAB_ARCH:+-$LAB_ARCH}"
CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt

have_image() { docker image inspect "$1" >/dev/null 2>&1; }

# A registry counts as reachable when the image that the Dockerfiles name by default is there or comes.
registry_reachable() {
    local usual
    usual=$(sed -n 's/^FROM \(python:[^ ]*\) AS python$/\1/p' "$(dirname "${BASH_SOURCE[0]}")/../services/Dockerfile" | head -n 1)
    [ -n "$usual" ] || return 1
    have_image "$usual" || timeout 60 docker pull -q "$usual" >/dev/null 2>&1
}

# Files nobody needs in a container: package lists, downloaded packages, manuals.
slim() {
    local root=$1
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* \
        "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/* "$root"/debootstrap
}

# The packages of another architecture, unpacked and not configured: emulated, dpkg takes a quarter of an hour, and
# what runs in these images needs none of the packages' scripts.
unpack_all() {
    local root=$1 package
    for package in "$root"/var/cache/apt/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -C "$root" --keep-directory-symlink -xpf - || return
    done
}

# build_rootfs NAME PACKAGES: NAME.tar.gz in the state directory. Written aside and renamed, so that an
# interrupted run is never taken for a finished one.
build_rootfs() {
    local name=$1 packages=$2 work mirror keyring
    need_root
    mirror=$(debian_mirror)
    keyring=$(debian_keyring)
    mkdir -p "$ROOTFS" "$LAB_STATE/debs"
    work=$(mktemp -d "$ROOTFS/.$name.XXXXXX")
    # shellcheck disable=SC2064  # the path of now
    trap "discard '$work'; rm -f '$ROOTFS/$name.tar.gz.part'" EXIT
    say "building the $name root file system from Debian $LAB_SUITE"
    try_debootstrap() {
        local foreign=()
        [ "$ARCH" = "$(dpkg --print-architecture)" ] || foreign=(--foreign)
        discard "$work/root"
        nice debootstrap --arch="$ARCH" "${foreign[@]}" --variant=minbase --keyring="$keyring" \
            --cache-dir="$LAB_STATE/debs" --include="$packages" "$LAB_SUITE" "$work/root" "$mirror" || return
        [ ${#foreign[@]} = 0 ] || unpack_all "$work/root"
    }
    retry 3 quietly "debootstrap-$name" try_debootstrap ||
        die "debootstrap failed: look at $LAB_STATE/log/debootstrap-$name.log"
    slim "$work/root"
    # A host behind an inspecting proxy trusts more than Debian's list; builds in the container must too.
    mkdir -p "$work/root/etc/ssl/certs"
    if [ -r "$CA_BUNDLE" ]; then cp -L "$CA_BUNDLE" "$work/root$CA_BUNDLE"; fi
    nice tar -C "$work/root" --numeric-owner --one-file-system -cf - . | nice gzip -1 >"$ROOTFS/$name.tar.gz.part"
    mv "$ROOTFS/$name.tar.gz.part" "$ROOTFS/$name.tar.gz"
    discard "$work"
    trap - EXIT
}

import_rootfs() {
    local name=$1 image=$2
    docker import --platform "linux/$ARCH" -c "ENV SSL_CERT_FILE=$CA_BUNDLE PIP_CERT=$CA_BUNDLE" \
        -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8' \
        -c 'CMD ["sh"]' "$ROOTFS/$name.tar.gz" "$image" >/dev/null
    say "$image: $(docker image inspect -f '{{.Size}}' "$image" | awk '{printf "%.0f MB", $1 / 1e6}')"
}

base_image() {
    local name=$1 image=$2 packages=$3
    have_image "$image" && return 0
    [ -s "$ROOTFS/$name.tar.gz" ] || build_rootfs "$name" "$packages"
    import_rootfs "$name" "$image"
}

main() {
    if [ "${1:-}" = debian ]; then
        base_image "debian-$LAB_SUITE" "visant-lab/debian:$LAB_SUITE" ca-certificates
        return
    fi
    case "${LAB_BASES:-auto}" in
    never) return 0 ;;
    always) ;;
    auto)
        if ! have_image "$LAB_PYTHON_IMAGE" && registry_reachable; then
            say "an image registry answers: the usual base images are used"
            return 0
        fi
        ;;
    *) die "LAB_BASES=${LAB_BASES}: use auto, always or never" ;;
    esac
    base_image "python$SUFFIX" "$LAB_PYTHON_IMAGE$SUFFIX" python3,python3-venv,ca-certificates
    base_image "redis$SUFFIX" "$LAB_REDIS_IMAGE$SUFFIX" redis-server
}

main "$@"
