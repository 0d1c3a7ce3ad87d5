#!/usr/bin/env bash
# Takes this device's software off the host: what install_device.sh added, and nothing else. Pictures that the cloud
# has not got yet are never deleted by accident.
set -euo pipefail
HERE=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
ROOT=${VISANT_ROOT:-/opt/visant}
UNITS=${VISANT_UNIT_DIR:-/etc/systemd/system}
PROJECT=${VISANT_PROJECT:-visant}
export VISANT_ROOT="$ROOT"
# shellcheck source=deployment/install/say.sh
. "$HERE/install/say.sh"
# shellcheck source=deployment/install/memory.sh
. "$HERE/install/memory.sh"
# shellcheck source=deployment/install/access.sh
. "$HERE/install/access.sh"
# shellcheck source=deployment/install/upkeep.sh
. "$HERE/install/upkeep.sh"
# shellcheck source=deployment/install/packages.sh
. "$HERE/install/packages.sh"

usage() {
    cat <<'HELP'
sudo /opt/visant/current/deployment/uninstall.sh [FLAGS]
  --keep-data            keeps the Docker volumes and /opt/visant/debug_captures
  --keep-config          keeps /opt/visant/.env.device, the token and the keys that releases are checked with
  --keep-docker          keeps Docker, even where the installation brought it (--keep-packages is its old name)
  --delete-undelivered   deletes pictures that the cloud has not got yet
  --yes                  asks nothing
WiFi profiles and Tailscale stay as they are.
HELP
}

KEEP_DATA="" KEEP_CONFIG="" KEEP_DOCKER="" DELETE_UNDELIVERED="" YES=""
while [ $# -gt 0 ]; do
    case "$1" in
    --keep-data) KEEP_DATA=yes ;;
    --keep-config) KEEP_CONFIG=yes ;;
    --keep-docker | --keep-packages) KEEP_DOCKER=yes ;;
    --delete-undelivered) DELETE_UNDELIVERED=yes ;;
    --yes | -y) YES=yes ;;
    --help | -h) usage && exit 0 ;;
    *) wrong_flag "$1 is no flag of this script" ;;
    esac
    shift
done

docker_answers() { command -v docker >/dev/null && docker version >/dev/null 2>&1; }
ours() { docker "$1" ls --quiet --filter "label=com.docker.compose.project=$PROJECT" "${@:2}"; }

# VISANT_SPOOL as Compose and visantctl read it: quotes, `export`, blanks and comments are for them to understand.
spool_setting() {
    [ -e "$ROOT/.env.device" ] || return 0
    PYTHONPATH="$HERE" python3 -B -c '
import pathlib, sys
from visantctl.host.env_file import read_env_file
print(read_env_file(pathlib.Path(sys.argv[1])).get("VISANT_SPOOL", ""))' "$ROOT/.env.device" 2>/dev/null
}

# Pictures without a receipt, wherever they wait: in the folder that is set, in the one that may have been, and in the
# volumes, which hold those from before. Fails where nobody can tell.
undelivered() {
    local named folders="" folder
    named=$(spool_setting) || return 1
    case "$named" in
    .* | '~'* | *'$'*) return 1 ;; # Compose makes another path of it
    /*) ;;
    *) named="" ;; # a volume's name
    esac
    if docker_answers; then
        folders=$(ours volume) || return 1
        folders=$(xargs -r docker volume inspect --format '{{.Mountpoint}}' <<<"$folders") || return 1
        folders+=$'\n'$(docker volume inspect --format '{{.Mountpoint}}' "${PROJECT}_spool" 2>/dev/null || true)
    fi
    # By their inodes: one folder may be there twice. Services that still run take pictures away meanwhile.
    while read -r folder; do
        [ ! -d "$folder" ] ||
            find "$folder/" -ignore_readdir_race -type f -name '*.picture' -printf '%D:%i\n' || return 1
    done <<<"$ROOT/spool"$'\n'"$named"$'\n'"$folders" | sort -u | wc -l
}

check() {
    local waiting
    [ "$(id -u)" = 0 ] || die "not root: sudo $0"
    [ -z "$KEEP_DATA" ] || KEEP_DOCKER=yes # the volumes are Docker's
    [ -z "$KEEP_DATA$DELETE_UNDELIVERED" ] || return 0
    # Without an Engine nobody can tell what waits in its volumes.
    docker_answers || [ ! -d /var/lib/docker/volumes ] ||
        die "Docker does not answer, so undelivered pictures cannot be counted: sudo systemctl start docker, or --delete-undelivered"
    waiting=$(undelivered) ||
        die "undelivered pictures cannot be counted: VISANT_SPOOL in $ROOT/.env.device is no folder, or $HERE/visantctl is damaged; --keep-data, or --delete-undelivered"
    [ "$waiting" = 0 ] ||
        die "$waiting pictures are not delivered yet: connect the device and wait, or --keep-data, or --delete-undelivered"
}

remove_units() {
    local name
    for name in visant-firstboot.service visant-disabled.service visant-update-request.path visant-update-request.service visant-clock.timer visant-clock.service visant-update.timer visant-update.service visant-device-v2.service; do
        systemctl disable --quiet --now "$name" 2>/dev/null || true
        rm -f "$UNITS/$name"
        rm -rf "$UNITS/$name.d"
    done
    rm -f /var/lib/systemd/timers/stamp-visant-update.timer "$UNITS/docker.service.d/visant-uplink.conf"
    rmdir --ignore-fail-on-non-empty "$UNITS/docker.service.d" 2>/dev/null || true
    systemctl daemon-reload
}

remove_containers() {
    local volumes
    docker_answers || return 0
    ours container --all | xargs -r docker rm --force --volumes >/dev/null
    ours network | xargs -r docker network rm >/dev/null
    if [ -z "$KEEP_DATA" ]; then
        volumes=$(ours volume)
        [ -z "$volumes" ] || xargs docker volume rm >/dev/null <<<"$volumes"
    fi
    # By their ids: a pulled image has the registry's name as well.
    docker images --quiet --no-trunc --filter 'reference=visant/*' | sort -u | xargs -r docker rmi --force >/dev/null || true
}

# Docker goes only where the installation brought it and nobody else's containers use it by now; v4l-utils and the
# like go in any case, unless something else on this host needs them.
remove_docker_and_packages() {
    local folder
    if [ -z "$KEEP_DOCKER" ] && [ "$(remembered engine)" != installed ]; then KEEP_DOCKER=yes; fi
    # (Its package takes all of /var/lib/docker with it.)
    if [ -z "$KEEP_DOCKER" ] && docker_answers && [ -n "$(docker ps --all --quiet && docker volume ls --quiet)" ]; then
        warn "Docker stays: there are containers or volumes of others"
        KEEP_DOCKER=yes
    fi
    if [ -n "$KEEP_DOCKER" ]; then
        remove_packages docker.io docker-cli containerd docker-compose iptables
        return 0
    fi
    systemctl stop docker.socket docker.service containerd.service 2>/dev/null || true
    remove_packages
    rm -rf /etc/docker /etc/containerd /run/docker /run/containerd
    for folder in /var/lib/docker /var/lib/containerd; do
        [ -d "$folder" ] || continue
        find "$folder" -mindepth 1 -delete
        rmdir "$folder" 2>/dev/null || true # a disk of its own stays, empty
    done
    ip link delete docker0 2>/dev/null || true
    if getent group docker >/dev/null; then groupdel docker 2>/dev/null || true; fi
}

remove_files() {
    local name
    remembered cmdline | while read -r name; do
        # An `if`: a backup that is gone would end the script as the loop's failure.
        if [ -f "$name.before-visant" ]; then
            sed -i '1 s/ cgroup_enable=memory//' "$name"
            rm -f "$name.before-visant"
        fi
    done
    remembered file | while read -r name; do
        case "$name" in
        /etc/apt/* | /usr/local/lib/docker/* | /etc/docker/*) [ -z "$KEEP_DOCKER" ] || continue ;;
        esac
        rm -f "$name"
    done
    remembered folder | while read -r name; do rmdir "$name" 2>/dev/null || true; done
    rmdir --ignore-fail-on-non-empty -p /usr/local/lib/docker/cli-plugins 2>/dev/null || true
    if [ -f "$MEMORY/daemon.json.before" ] && [ -d /etc/docker ]; then cp -p "$MEMORY/daemon.json.before" /etc/docker/daemon.json; fi
    rm -f /var/log/visant-update.log* /var/log/visant-install.log
    # An installation after this one must find what it may take back; the rest of the folder goes by name.
    if [ -n "$KEEP_DOCKER" ] && [ -n "$(remembered engine)" ]; then
        find "$ROOT/state" -mindepth 1 -maxdepth 1 ! -name install -exec rm -rf {} +
    else
        rm -rf "$ROOT/state"
    fi
    rm -rf "$ROOT/current" "$ROOT/previous" "$ROOT/releases" "$ROOT/shared" "$ROOT/old" /run/visant-host
    [ -n "$KEEP_DATA" ] || rm -rf "$ROOT/debug_captures" "$ROOT/spool"
    [ -n "$KEEP_CONFIG" ] || rm -rf "$ROOT/.env.device" "$ROOT/secrets" "$ROOT/registry" "$ROOT/allowed_signers" "$ROOT/compose.override.yaml"
    rmdir --ignore-fail-on-non-empty "$ROOT" 2>/dev/null || true
}

check
say "This removes the services, their units and images${KEEP_DATA:+; data stay}${KEEP_CONFIG:+; settings stay}${KEEP_DOCKER:+; Docker stays}"
confirm "Go on?" || die "nothing was changed"
# The script lies in what it removes: bash has read all of it by now only inside this block.
{
    remove_upkeep
    remove_units
    remove_containers
    remove_hotspot
    remove_docker_and_packages
    remove_files
    if [ -d "$ROOT" ]; then say "removed; kept in $ROOT: $(find "$ROOT" -mindepth 1 -maxdepth 1 -printf '%f ')"; else say "removed"; fi
    exit 0
}
