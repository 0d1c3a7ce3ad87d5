#!/bin/sh
# own_packages.sh TARGET PACKAGE...: this project's packages, without what they depend on (third_party.sh
# has installed that from the lock). Nothing is downloaded: uv carries its build backend.
set -eu
target=$1
shift

/uv/bin/uv pip install --quiet --python "$(command -v python3)" --target "$target" --no-deps --no-sources \
    --offline --link-mode copy "$@"

"$(dirname "$0")/settle.sh" "$target"
