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

# What no device runs: tests, type stubs, C sources and headers, command-line tools of the libraries.
find "$target" -type d \( -name tests -o -name include -o -name f2py \) -path '*/numpy/*' -prune -exec rm -rf {} +
find "$target" -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' \) -delete
rm -rf "${target:?}/bin"

"$(dirname "$0")/settle.sh" "$target"
