#!/bin/sh
# third_party.sh LOCK TARGET: the wheels that LOCK names, by hash, for the architecture in TARGETARCH.
# Runs in an image's build stage; LOCK is complete, so nothing is resolved here.
set -eu
lock=$1
target=$2

case ${TARGETARCH:?set by BuildKit} in
    amd64) platform=x86_64-manylinux_2_28 ;;
    arm64) platform=aarch64-manylinux_2_28 ;;
    *)
        echo "TARGETARCH=$TARGETARCH: build for linux/amd64 or linux/arm64" >&2
        exit 1
        ;;
esac

# A wheel for another architecture can be unpacked here, a source could not be built: hence --no-build.
/uv/bin/uv pip install --quiet --python "$(command -v python3)" --target "$target" --python-platform "$platform" \
    --require-hashes --no-deps --no-build --link-mode copy -r "$lock"

# The packages' own tests are a tenth of their size and never run on a device.
find "$target" -type d \( -name tests -o -name test \) -path '*/numpy/*' -prune -exec rm -rf {} +

"$(dirname "$0")/settle.sh" "$target"
