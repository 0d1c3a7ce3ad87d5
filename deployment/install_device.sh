#!/usr/bin/env bash
# Makes a fresh Raspberry Pi OS (64-bit, bookworm or trixie) into a working device, takes over from the git-based
# version, or brings a device back into shape: run again, it changes only what is missing. `--help` lists the flags,
# `--dry-run` says what it would do.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=${VISANT_ROOT:-/opt/visant}
UNITS=${VISANT_UNIT_DIR:-/etc/systemd/system}
LOG=${VISANT_INSTALL_LOG:-/var/log/visant-install.log}
OS_RELEASE=${VISANT_OS_RELEASE:-/etc/os-release}
MIN_FREE_MB=${VISANT_MIN_FREE_MB:-3000}
export VISANT_ROOT="$ROOT" VISANT_UNIT_DIR="$UNITS"
FIX_CMDLINE=${FIX_CMDLINE:-}

# shellcheck source=deployment/install/say.sh
. "$HERE/install/say.sh"
# shellcheck source=deployment/install/flags.sh
. "$HERE/install/flags.sh"
# shellcheck source=deployment/install/secret.sh
. "$HERE/install/secret.sh"
# shellcheck source=deployment/install/memory.sh
. "$HERE/install/memory.sh"
# shellcheck source=deployment/install/checks.sh
. "$HERE/install/checks.sh"
# shellcheck source=deployment/install/packages.sh
. "$HERE/install/packages.sh"
# shellcheck source=deployment/install/engine.sh
. "$HERE/install/engine.sh"
# shellcheck source=deployment/install/uplink.sh
. "$HERE/install/uplink.sh"
# shellcheck source=deployment/install/release.sh
. "$HERE/install/release.sh"
# shellcheck source=deployment/install/access.sh
. "$HERE/install/access.sh"
# shellcheck source=deployment/install/upkeep.sh
. "$HERE/install/upkeep.sh"
# shellcheck source=deployment/install/migration.sh
. "$HERE/install/migration.sh"
# shellcheck source=deployment/install/detach.sh
. "$HERE/install/detach.sh"

ctl() { python3 -B "$HERE/bin/visantctl" "$@"; }

plan() {
    say "This will"
    if engine_is_new_enough && compose_is_new_enough; then :; else
        say "  - install Docker Engine and Compose from Debian's packages"
    fi
    say "  - keep Docker's private addresses away from this site's networks, v4l-utils for looking at cameras"
    [ -z "$FIX_CMDLINE" ] || say "  - add cgroup_enable=memory to $(cmdline_file) (a reboot is needed for it; nothing is rebooted now)"
    if [ -f "$ROOT/.env.device" ]; then
        say "  - keep $ROOT/.env.device${DEVICE_ID:+, DEVICE_ID=$DEVICE_ID}${API_URL:+, API_URL=$API_URL}"
    else
        say "  - write $ROOT/.env.device (root only): DEVICE_ID=$(setting DEVICE_ID "${DEVICE_ID:-${ENROL_FILE:+from the code}}"), API_URL=$(setting API_URL "$API_URL")"
    fi
    [ -z "$ENROL_FILE" ] || say "  - exchange the enrolment code for this device's token${REPLACE:+, in place of the device that has the id now}"
    plan_migration
    if [ -n "$ARCHIVE" ] || ! release_installed; then say "  - install the release and start it"; fi
    say "  - add visant-device-v2.service, visant-update.service, visant-update.timer, /usr/local/bin/visantctl"
    if wants_hotspot; then say "  - set up a hotspot${HOTSPOT_OPEN:+ without a password} for giving this device its WiFi (Comitup)"; fi
    [ -z "$TAILSCALE_KEY" ] || say "  - install Tailscale where it is missing, and join with the key"
    plan_upkeep
    say "  - check everything (visantctl doctor)"
}

apply() {
    local started=$SECONDS REBOOT="" checked=0
    mkdir -p "$MEMORY"
    exec 8>"$MEMORY/lock"
    flock -n 8 || die "another installation runs on this host: tail -f $LOG"
    IFS= read -r SECRET || true
    remember folder "$(getent passwd root | cut -d: -f6)/.ssh" # ssh-keygen makes it when it checks a signature
    CODENAME=$(sed -n 's/^VERSION_CODENAME=//p' "$OS_RELEASE" | tr -d '"')
    prepare_migration
    write_settings
    # A daemon started below must not inherit the lock.
    { use_uplink; install_what_is_missing; ensure_address_pools; } 8>&-
    fix_cmdline
    enrol
    if migration_is_open; then migrate 8>&-; else install_release 8>&-; fi
    install_units 8>&-
    install_addwifi
    install_hotspot 8>&-
    install_tailscale 8>&-
    install_upkeep 8>&-
    say "installed in $((SECONDS - started)) s"
    "$ROOT/current/deployment/verify_deployment.sh" --no-camera-yet --wait 60 || checked=$?
    case $checked in
    0) ;;
    3) say "installed, camera missing: plug it in, it is seen without a restart; visantctl doctor then shows a picture" ;;
    *) die "installed, and something needs attention: see above" ;;
    esac
    [ -z "$REBOOT" ] || say "reboot once, so that memory limits work: sudo reboot"
    say "logs: visantctl logs -f        state: visantctl status        after an edit of $ROOT/.env.device: sudo systemctl restart visant-device-v2"
}

if [ -n "${VISANT_INSTALL_APPLY:-}" ]; then
    trap '' HUP
    trap 'exit 143' TERM
    trap '[ $? = 0 ] || say "not finished. The same command again goes on where this stopped. All of this is in $LOG"' EXIT
    parse_flags "$@"
    say "--- $(date '+%F %T %Z') install_device.sh"
    apply
    exit 0
fi
hide_code "$@"
parse_flags "$@"
check_flags
say "Checking this host"
[ "$(id -u)" = 0 ] || bad "not root: sudo $0"
check_system
check_disk
check_memory_limits
check_clock
check_camera "$(setting CAMERA_SOURCE "$CAMERA")"
check_network "$(setting API_URL "$API_URL")" "$(setting HTTPS_PROXY "$PROXY")"
check_release
[ "$FAILED" = 0 ] || die "$FAILED of these checks failed, nothing was changed"
plan
[ -z "$DRY_RUN" ] || exit 0
confirm "Go on?" || die "nothing was changed"
read_secret
read_tailscale_key
run_detached "$@"
# Here and not in the log: the password is for the person at the terminal.
if wants_hotspot && [ -f /etc/comitup.conf ]; then ctl hotspot show; fi
