#!/usr/bin/env bash
# A real image registry on loopback, for the tests of updates: Debian's docker-registry.
#
#   lab/registry.sh start [DIR]   prints 127.0.0.1:PORT; images are kept in DIR (default: the state directory)
#   lab/registry.sh stop          ends it; what it stores stays
#   lab/registry.sh forget        ends it, and removes its folder in the state directory
#   lab/registry.sh address       prints the address of the running one
#
# LAB_REGISTRY names one of several (default "registry"). The Engine trusts 127.0.0.0/8 without TLS.
# shellcheck source=lab/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

NAME="${LAB_REGISTRY:-registry}"
RUN="$LAB_STATE/$NAME"

install_registry() {
    command -v docker-registry >/dev/null && return 0
    need_root
    say "installing Debian's docker-registry" >&2
    install_it() { DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends docker-registry; }
    quietly registry install_it 2>/dev/null && return 0
    quietly registry apt-get -qq update || true
    retry 3 quietly registry install_it || die "docker-registry did not install: look at $LAB_STATE/log/registry.log"
}

# The pid file's process must be the one that serves this configuration.
running_pid() {
    local pid
    pid=$(cat "$RUN/pid" 2>/dev/null) || return 1
    tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$RUN/config.yml" || return 1
    printf '%s\n' "$pid"
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

answers() { python3 -c 'import sys, urllib.request as u; u.urlopen(f"http://{sys.argv[1]}/v2/", timeout=1)' "$1" 2>/dev/null; }

# A registry started again listens where it did before when that port is still free: references to it stay good.
start() {
    local data=${1:-$RUN/data} address try
    if running_pid >/dev/null; then
        cat "$RUN/address"
        return 0
    fi
    install_registry
    mkdir -p "$RUN" "$data"
    for try in 1 2 3; do
        if [ "$try" = 1 ] && [ -s "$RUN/address" ]; then address=$(cat "$RUN/address"); else address="127.0.0.1:$(free_port)"; fi
        cat >"$RUN/config.yml" <<CONF
version: 0.1
log: {level: warn}
storage:
  filesystem: {rootdirectory: $data}
  delete: {enabled: true}
http: {addr: "$address"}
CONF
        OTEL_TRACES_EXPORTER=none setsid nohup docker-registry serve "$RUN/config.yml" >>"$RUN/log" 2>&1 </dev/null &
        printf '%s\n' "$!" >"$RUN/pid"
        for _ in $(seq 50); do
            if answers "$address"; then
                printf '%s\n' "$address" | tee "$RUN/address"
                return 0
            fi
            running_pid >/dev/null || break
            sleep 0.1
        done
    done
    tail -n 5 "$RUN/log" >&2
    die "docker-registry did not start: look at $RUN/log"
}

stop() {
    local pid
    pid=$(running_pid) || return 0
    kill "$pid"
    for _ in $(seq 50); do
        running_pid >/dev/null || break
        sleep 0.1
    done
    rm -f "$RUN/pid"
}

case "${1:-}" in
start) start "${2:-}" ;;
stop) stop ;;
forget)
    stop
    rm -rf "$RUN"
    ;;
address) running_pid >/dev/null && cat "$RUN/address" ;;
*) die "usage: lab/registry.sh start [DIR] | stop | forget | address" ;;
esac
