# shellcheck shell=bash  # sourced by the scripts of this folder, never run; needs bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

need_engine() {
    docker version --format '{{.Server.Version}}' >/dev/null 2>&1 ||
        die "no Docker Engine answers: start it, or run 'make lab' on a Debian machine that has none"
    docker compose version >/dev/null 2>&1 || die "docker compose is missing: install the Compose plugin, 2.24 or newer"
}

# All images, quietly where nothing has changed; the whole output when the build fails.
build_images() {
    local log
    log=$(mktemp)
    PROGRESS=plain tools/images.sh >"$log" 2>&1 || {
        tail -n 40 "$log" >&2
        rm -f "$log"
        die "the images were not built"
    }
    rm -f "$log"
}

# emulation PROJECT COMPOSE-ARGUMENT...: a device's settings in this checkout are not its own
emulation() {
    local project=$1
    shift
    docker compose --env-file /dev/null -p "$project" -f compose.yaml -f compose.emulation.yaml "$@"
}

# The first given port that nothing listens on, else 0 for any.
free_port() {
    python3 - "$@" <<'PYTHON'
import socket
import sys
for port in (int(word) for word in sys.argv[1:]):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        print(port)
        break
else:
    print(0)
PYTHON
}
