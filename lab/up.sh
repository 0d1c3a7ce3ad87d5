#!/usr/bin/env bash
# `make lab`: a Docker Engine with Compose and buildx, and base images, on a machine that reaches no image
# registry. All of it from Debian's packages. Run it again at any time: what is there is not touched.
#
#   LAB_STATE   where logs, archives and pid files live (default ~/.cache/visant-lab)
#   LAB_BASES   auto, always or never: see bases.sh
# shellcheck source=lab/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

mkdir -p "$LAB_STATE"
exec 9>"$LAB_STATE/lock"
flock -w 600 9 || die "another 'make lab' has been running for ten minutes: look at $LAB_STATE/log"
"$here/engine.sh" 9>&-
"$here/bases.sh" 9>&-
"$here/env.sh" 9>&- | sed 's/^export /lab: /'
say "ready"
