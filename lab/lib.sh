# shellcheck shell=bash disable=SC2034  # sourced by the scripts of this folder, never run; needs bash
set -euo pipefail

LAB_STATE="${LAB_STATE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/visant-lab}"
LAB_SUITE="${LAB_SUITE:-trixie}"
LAB_PYTHON_IMAGE="visant-lab/python:${LAB_SUITE}"
LAB_REDIS_IMAGE="visant-lab/redis:${LAB_SUITE}"

say() { printf 'lab: %s\n' "$*"; }

# One line that names what is wrong and what to do about it; no trace.
die() {
    printf 'lab: %s\n' "$*" >&2
    exit 1
}

# retry TIMES COMMAND...: downloads fail now and then; wait a little longer each time.
retry() {
    local times=$1 attempt=1
    shift
    until "$@"; do
        ((attempt >= times)) && return 1
        say "attempt $attempt of $times failed, trying again in $((attempt * 3)) s: $*" >&2
        sleep $((attempt * 3))
        attempt=$((attempt + 1))
    done
}

# quietly LOG COMMAND...: the output goes to the log; its end is shown when the command fails.
quietly() {
    local log="$LAB_STATE/log/$1.log"
    shift
    mkdir -p "$LAB_STATE/log"
    if ! "$@" >>"$log" 2>&1 </dev/null; then
        tail -n 15 "$log" >&2
        return 1
    fi
}

need_root() {
    [ "$(id -u)" = 0 ] || die "this step needs root: run it as 'sudo -E make lab'"
}

engine_answers() {
    command -v docker >/dev/null && docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

# pid_of_ours NAME: the pid in NAME.pid when that process is alive and is the program we started.
# A pid alone is not enough: numbers are used again after a reboot.
pid_of_ours() {
    local name=$1 pid
    pid=$(cat "$LAB_STATE/$name.pid" 2>/dev/null) || return 1
    [ -r "/proc/$pid/cmdline" ] || return 1
    tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q -- "$name" || return 1
    printf '%s\n' "$pid"
}

# debian_mirror: the archive address this machine already uses. No host name is written in this
# repository: a machine behind a mirror keeps its mirror.
debian_mirror() {
    local uri
    # Asks what an update would read: that works before the first update too.
    uri=$(apt-get update --print-uris 2>/dev/null |
        sed -n "s#^'\([^']*/debian\)/dists/.*#\1#p" | sort | uniq -c | sort -rn | awk 'NR==1{print $2}')
    [ -n "$uri" ] || die "no Debian archive in this machine's apt sources: add one to /etc/apt/sources.list"
    printf '%s\n' "$uri"
}

debian_keyring() {
    local ring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -r "$ring" ] || die "$ring is missing: apt-get install debian-archive-keyring"
    printf '%s\n' "$ring"
}

# A debootstrap that was cut short leaves its /proc mounted: that of this machine.
discard() {
    local mounted
    awk -v below="$1/" 'index($2, below) == 1 { print $2 }' /proc/mounts | sort -r | while read -r mounted; do
        umount "$mounted"
    done
    rm -rf --one-file-system "$1"
}
