#!/bin/sh
# settle.sh TARGET: makes an installed folder ready for a read-only root, and the same at every build.
set -eu
target=$1

# The root is read-only, so Python could not keep its bytecode at run time: each start would compile again.
# Not checked against the source's time, for that is set to one moment below.
python3 -m compileall -q -j 2 --invalidation-mode unchecked-hash "$target"

# Written by installers with times and paths of this build; equal input shall give an equal layer, which a
# device that has it does not download again.
find "$target" \( -name direct_url.json -o -name .lock -o -name uv_cache.json \) -delete
find "$target" -path '*.dist-info/RECORD' -exec sed -i '/\(direct_url\|uv_cache\)\.json,/d' {} +
find "$target" -exec touch --no-dereference --date=@0 {} +
