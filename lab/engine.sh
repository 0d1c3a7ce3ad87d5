#!/usr/bin/env bash
# Makes a Docker Engine answer on this machine. One that already answers is left as it is.
#
# The packages are Debian trixie's (Engine 26, Compose 2.26, buildx 0.13): Debian 12's own Engine 20.10
# has a Dockerfile frontend without heredocs and COPY --link, and its Compose has no `up --wait`.
# They are installed through an apt configuration of our own, so that the machine's apt keeps its sources.
# shellcheck source=lab/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

APT="$LAB_STATE/apt"

# Both suites, trixie pinned at 100: everything Debian 12 can satisfy comes from Debian 12.
write_apt_config() {
    local mirror=$1 keyring=$2 own
    own=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    mkdir -p "$APT/sources.list.d" "$APT/preferences.d" "$APT/lists/partial"
    {
        printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$own"
        [ "$own" = "$LAB_SUITE" ] || printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$LAB_SUITE"
    } >"$APT/sources.list"
    printf 'Package: *\nPin: release n=%s\nPin-Priority: 100\n' "$LAB_SUITE" >"$APT/preferences"
    [ "$own" != "$LAB_SUITE" ] || : >"$APT/preferences"
    cat >"$APT/apt.conf" <<CONF
Dir::Etc::sourcelist "$APT/sources.list";
Dir::Etc::sourceparts "$APT/sources.list.d";
Dir::Etc::preferences "$APT/preferences";
Dir::Etc::preferencesparts "$APT/preferences.d";
Dir::State::lists "$APT/lists";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
DPkg::Lock::Timeout "300";
CONF
}

apt_lab() { APT_CONFIG="$APT/apt.conf" DEBIAN_FRONTEND=noninteractive nice apt-get -qq "$@"; }

# No Debian package may start a dockerd of its own choosing while we install.
without_service_starts() {
    local policy=/usr/sbin/policy-rc.d made=no status=0
    if [ ! -e "$policy" ] && [ ! -d /run/systemd/system ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made=yes
    fi
    "$@" || status=$?
    [ "$made" = no ] || rm -f "$policy"
    return "$status"
}

install_engine() {
    local mirror keyring from="" cli=()
    mirror=$(debian_mirror)
    keyring=$(debian_keyring)
    write_apt_config "$mirror" "$keyring"
    grep -q " $LAB_SUITE " "$APT/sources.list" && from="/$LAB_SUITE"
    say "installing Docker Engine, Compose and buildx from Debian $LAB_SUITE"
    retry 3 quietly apt apt_lab update || die "cannot read the Debian archive: look at $LAB_STATE/log/apt.log"
    command -v docker >/dev/null || cli=("docker-cli$from")
    # Debian 12's own runc: trixie's wants a newer libc, and this one serves.
    retry 3 quietly apt without_service_starts apt_lab install -y \
        "docker.io$from" "containerd$from" "${cli[@]}" iptables debootstrap ||
        die "the Docker packages did not install: look at $LAB_STATE/log/apt.log"
    install_plugins "$from"
}

# Only the two plugin binaries are taken: their packages would pull a newer libc into Debian 12.
install_plugins() {
    local from=$1 to=/usr/local/lib/docker/cli-plugins work
    work=$(mktemp -d)
    # shellcheck disable=SC2064  # the path of now
    trap "rm -rf '$work'" RETURN
    (cd "$work" && retry 3 quietly apt apt_lab download "docker-compose$from" "docker-buildx$from") ||
        die "the Compose and buildx packages did not download: look at $LAB_STATE/log/apt.log"
    for deb in "$work"/*.deb; do dpkg-deb -x "$deb" "$work/x"; done
    mkdir -p "$to"
    find "$work/x" -path '*/cli-plugins/docker-*' -type f -exec install -m 755 -t "$to" {} +
}

# One dockerd a network namespace: a second would delete the first one's bridge.
start_engine() {
    local log="$LAB_STATE/dockerd.log" pid
    # A number in a pid file that outlived a reboot may be anybody's by now.
    if pid=$(cat /var/run/docker.pid 2>/dev/null) && grep -q dockerd "/proc/$pid/cmdline" 2>/dev/null; then
        say "a dockerd (pid $pid) is already starting, waiting for it"
    else
        rm -f /var/run/docker.pid
        say "starting dockerd, log in $log"
        setsid nohup dockerd >>"$log" 2>&1 </dev/null &
        printf '%s\n' "$!" >"$LAB_STATE/dockerd.pid"
    fi
    for _ in $(seq 120); do
        engine_answers && return 0
        sleep 0.5
    done
    tail -n 15 "$log" >&2
    die "dockerd did not answer within 60 s: look at $log"
}

# All containers together weigh as much as one process beside them: on a busy machine they starve (20 snapshots took
# 102 s at a load of 50). Eight processes' weight; cgroup version 1, or 2.
weigh_containers() {
    local file=/sys/fs/cgroup/cpu/docker/cpu.shares weight=8192
    [ -d /sys/fs/cgroup/cpu ] || { file=/sys/fs/cgroup/docker/cpu.weight && weight=800; }
    { mkdir -p "${file%/*}" && echo "$weight" >"$file"; } 2>/dev/null || say "the containers' share of the processor stays as it is"
}

main() {
    mkdir -p "$LAB_STATE"
    if engine_answers; then
        say "Docker Engine $(docker version --format '{{.Server.Version}}') answers"
    else
        need_root
        if ! command -v dockerd >/dev/null || ! docker compose version >/dev/null 2>&1 ||
            ! docker buildx version >/dev/null 2>&1; then
            install_engine
        fi
        start_engine
        weigh_containers
        say "Docker Engine $(docker version --format '{{.Server.Version}}') runs"
    fi
    docker compose version >/dev/null 2>&1 ||
        die "this machine's Docker has no Compose plugin: install docker-compose (2.24 or newer)"
}

main "$@"
