#!/bin/sh
# own_packages.sh TARGET PACKAGE...: this project's packages, without what they depend on (third_party.sh
# has installed that from the lock). Nothing is downloaded: uv carries its build backend.
set -eu
target=$1
shift

# What the services tell the cloud is their packages' version, what a release is held to is the image's label.
# 0.0.0: an image built by hand, of no release.
for package in "$@"; do
    found=$(sed -n 's/^version = "\(.*\)"/\1/p' "$package/pyproject.toml")
    if [ "${VERSION:?set by the Dockerfile}" != 0.0.0 ] && [ "$VERSION" != "$found" ]; then
        echo "VERSION=$VERSION, but $package is $found: leave VISANT_VERSION unset, or change all by tools/version.py" >&2
        exit 1
    fi
done

/uv/bin/uv pip install --quiet --python "$(command -v python3)" --target "$target" --no-deps --no-sources \
    --offline --link-mode copy "$@"

"$(dirname "$0")/settle.sh" "$target"
