#!/usr/bin/env bash
# `make test-cloud-compose`: cloud/compose.yaml brought up with TLS; a worker killed, both redeployed under load, a
# backup made and put back, and every trigger accounted for. SHORT=1: fewer devices, for less long.
# shellcheck source=tests/containers/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../containers/lib.sh"

need_engine
[ -x .venv/bin/pytest ] || tools/setup.sh
PROGRESS=plain tools/images.sh cloud >/dev/null
# Where the usual base images cannot be had, neither can those of PostgreSQL and Caddy.
settings=$(lab/env.sh)
if [ -n "$settings" ]; then
    for program in postgres caddy; do
        docker image inspect "visant-lab/$program:trixie" >/dev/null 2>&1 ||
            docker build -q --network host --build-arg DEBIAN_IMAGE=visant-lab/redis:trixie --target "$program" \
                --tag "visant-lab/$program:trixie" tests/cloud_compose/standins >/dev/null
    done
fi
.venv/bin/pytest tests/cloud_compose -p no:cacheprovider -n 0 -s --durations 5 "$@"
