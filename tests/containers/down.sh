#!/usr/bin/env bash
# `make down`: ends what `make up` started. Pictures and settings stay in their volumes; VOLUMES=1 removes them too.
# shellcheck source=tests/containers/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_engine
emulation visant-emulation down --remove-orphans ${VOLUMES:+--volumes}
