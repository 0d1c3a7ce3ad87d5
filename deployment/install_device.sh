#!/usr/bin/env bash
# Makes a fresh Raspberry Pi OS (64-bit, bookworm or trixie) into a working device, or brings one back into shape:
# run again, it changes only what is missing. `--help` lists the flags, `--dry-run` says what it would do.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=${VISANT_ROOT:-/opt/visant}
UNITS=${VISANT_UNIT_DIR:-/etc/systemd/system}
LOG=${VISANT_INSTALL_LOG:-/var/log/visant-install.log}
OS_RELEASE=${VISANT_OS_RELEASE:-/etc/os-release}
MIN_FREE_MB=${VISANT_MIN_FREE_MB:-3000}
export VISANT_ROOT="$ROOT" VISANT_UNIT_DIR="$UNITS"

# shellcheck source=deployment/install/say.sh
. "$HERE/install/say.sh"
# shellcheck source=deployment/install/memory.sh
. "$HERE/install/memory.sh"
# shellcheck source=deployment/install/checks.sh
. "$HERE/install/checks.sh"
# shellcheck source=deployment/install/engine.sh
. "$HERE/install/engine.sh"
# shellcheck source=deployment/install/uplink.sh
. "$HERE/install/uplink.sh"

usage() {
    cat <<'HELP'
sudo ./install_device.sh [FLAGS]

  With /opt/visant/.env.device in place no flag is needed but the release. Otherwise:
  --device-id ID          the name under which the cloud knows this device
  --api-url URL           the cloud, for example https://your-cloud.example
  --token-file F          file that holds the device's token (- is standard input)
  --enrol CODE            or a one-time code, made with: visant-cloud enrol-code
  --replace               with --enrol: takes over the id of a device that died; its token ends

  --from RELEASE.TAR      takes the release from this archive, without a registry
  --update-url URL        where releases are published; kept in .env.device
  --allowed-signers F     keys that may sign releases (default: allowed_signers beside this script)
  --channel NAME          stable or beta (--branch main|dev is its old name)
  --proxy URL             the site's proxy, http://host:port (one with a password: into .env.device, before)
  --ca-file F             the site's own authorities (PEM), trusted beside the public ones; kept in /opt/visant/secrets
  --camera SOURCE         0, /dev/v4l/by-id/..., rtsp://..., fake
  --skip-wifi             does not put addwifi.sh into the user's home folder
  --skip-tailscale        accepted from old command lines; nothing here sets up Tailscale

  --yes                   asks nothing. Without a terminal nothing is asked either
  --dry-run               checks, says what it would do, changes nothing
HELP
}

need_value() { [ $# -ge 2 ] && [ -n "$2" ] || wrong_flag "$1 needs a value"; }

DEVICE_ID="" API_URL="" TOKEN_FILE="" ENROL="" REPLACE="" ARCHIVE="" UPDATE_URL="" SIGNERS="" CHANNEL="" CAMERA="" PROXY="" CA_FILE=""
SKIP_WIFI="" YES="" DRY_RUN="" FIX_CMDLINE="" WORDS=("$@")
while [ $# -gt 0 ]; do
    case "$1" in
    --device-id | --api-url | --token-file | --enrol | --from | --update-url | --allowed-signers | --channel | --branch | --camera | --proxy | --ca-file) need_value "$@" ;;
    esac
    case "$1" in
    --device-id) DEVICE_ID=$2 && shift ;;
    --api-url) API_URL=$2 && shift ;;
    --token-file) TOKEN_FILE=$2 && shift ;;
    --enrol) ENROL=$2 && shift ;;
    --from) ARCHIVE=$2 && shift ;;
    --update-url) UPDATE_URL=$2 && shift ;;
    --allowed-signers) SIGNERS=$2 && shift ;;
    --channel) CHANNEL=$2 && shift ;;
    --branch)
        case "$2" in
        main) CHANNEL=stable ;;
        dev) CHANNEL=beta ;;
        *) wrong_flag "--branch $2: main or dev; or --channel" ;;
        esac
        shift
        ;;
    --camera) CAMERA=$2 && shift ;;
    --proxy) PROXY=$2 && shift ;;
    --ca-file) CA_FILE=$2 && shift ;;
    --replace) REPLACE=yes ;;
    --skip-wifi) SKIP_WIFI=yes ;;
    --skip-tailscale) ;;
    --yes | -y) YES=yes ;;
    --dry-run) DRY_RUN=yes ;;
    --help | -h) usage && exit 0 ;;
    *) wrong_flag "$1 is no flag of this script" ;;
    esac
    shift
done

ctl() { python3 "$HERE/bin/visantctl" "$@"; }

# The value that a setting will have: the flag's, else the file's.
setting() { # KEY FLAG-VALUE
    if [ -n "$2" ]; then
        printf '%s\n' "$2"
    elif [ -r "$ROOT/.env.device" ]; then
        sed -n "s/^$1=//p" "$ROOT/.env.device" | tail -n 1 | sed "s/^'\(.*\)'\$/\1/; s/^\"\(.*\)\"\$/\1/"
    fi
}

check_flags() {
    [ -z "$ENROL" ] || [ -z "$TOKEN_FILE" ] || wrong_flag "--enrol and --token-file are two ways to the same thing: give one"
    [ -z "$REPLACE" ] || [ -n "$ENROL" ] || wrong_flag "--replace belongs to --enrol"
    [ -z "$ARCHIVE" ] || [ -r "$ARCHIVE" ] || wrong_flag "--from $ARCHIVE: no such file"
    [ -z "$SIGNERS" ] || [ -r "$SIGNERS" ] || wrong_flag "--allowed-signers $SIGNERS: no such file"
    [ -z "$CA_FILE" ] || [ -r "$CA_FILE" ] || wrong_flag "--ca-file $CA_FILE: no such file"
    [ "${TOKEN_FILE:--}" = - ] || [ -r "$TOKEN_FILE" ] || wrong_flag "--token-file $TOKEN_FILE: no such file"
    [ -n "$(setting API_URL "$API_URL")" ] || wrong_flag "--api-url is needed: $ROOT/.env.device does not name one"
    [ -n "$ENROL" ] || [ -n "$(setting DEVICE_ID "$DEVICE_ID")" ] || wrong_flag "--device-id is needed: $ROOT/.env.device does not name one"
}

release_installed() { [ -f "$ROOT/current/release.json" ] && [ -f "$ROOT/state/good.json" ]; }

check_release() {
    local from
    from=$(setting UPDATE_URL "$UPDATE_URL")
    if release_installed || [ -n "$ARCHIVE" ] || [ -n "$from" ]; then
        ok "release: ${ARCHIVE:-${from:-the one that is installed}}"
    else
        bad "no release to install: give --from RELEASE.TAR, or --update-url URL"
    fi
    [ -s "$ROOT/allowed_signers" ] || [ -s "${SIGNERS:-$HERE/allowed_signers}" ] ||
        bad "no key to check releases with: give --allowed-signers F"
}

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
        say "  - write $ROOT/.env.device (root only): DEVICE_ID=${DEVICE_ID:-from the code}, API_URL=$API_URL"
    fi
    [ -z "$ENROL" ] || say "  - exchange the enrolment code for this device's token"
    if [ -n "$ARCHIVE" ] || ! release_installed; then say "  - install the release and start it"; fi
    say "  - add visant-device-v2.service, visant-update.service, visant-update.timer, /usr/local/bin/visantctl"
    say "  - check everything (visantctl doctor)"
}

# One reading of the package lists for everything: on a slow card it takes longer than the packages.
install_what_is_missing() {
    local wanted=() name
    for name in v4l-utils openssh-client ca-certificates qrencode; do
        dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null | grep -q '^ii' || wanted+=("$name")
    done
    if engine_is_new_enough && compose_is_new_enough; then
        [ ${#wanted[@]} = 0 ] || { mend_packages && update_lists && install_packages "${wanted[@]}"; }
    else
        install_engine "${wanted[@]}"
    fi
    ok "Docker $(docker version --format '{{.Server.Version}}'), Compose $(docker compose version --short)"
}

fix_cmdline() {
    local file
    [ -n "$FIX_CMDLINE" ] || return 0
    file=$(cmdline_file)
    grep -q 'cgroup_enable=memory' "$file" && return 0
    cp -p "$file" "$file.before-visant"
    remember cmdline "$file"
    # One line, whatever its end: the firmware reads only the first.
    sed -i '1 s/[[:space:]]*$/ cgroup_enable=memory/' "$file"
    sync "$file"
    REBOOT=yes
}

write_settings() {
    local values=() video_group
    [ -z "$DEVICE_ID" ] || values+=("DEVICE_ID=$DEVICE_ID")
    [ -z "$API_URL" ] || values+=("API_URL=$API_URL")
    [ -z "$CAMERA" ] || values+=("CAMERA_SOURCE=$CAMERA")
    [ -z "$PROXY" ] || values+=("HTTPS_PROXY=$PROXY")
    [ -z "$CA_FILE" ] || values+=("SSL_CERT_FILE=/run/secrets/ca.pem")
    [ -z "$UPDATE_URL" ] || values+=("UPDATE_URL=$UPDATE_URL")
    [ -z "$CHANNEL" ] || values+=("UPDATE_CHANNEL=$CHANNEL")
    if [ ! -f "$ROOT/.env.device" ]; then
        video_group=$(getent group video | cut -d: -f3)
        values+=("VIDEO_GID=${video_group:-44}" "VISANT_DEBUG_CAPTURES=$ROOT/debug_captures")
    fi
    install -d -m 755 "$ROOT"
    install -d -m 750 -o 10001 -g 10001 "$ROOT/debug_captures"
    install -d -m 750 -o 0 -g 10001 "$ROOT/secrets"
    store_ca
    ctl configure "${values[@]}" ${TOKEN_FILE:+--token-file "$TOKEN_FILE"}
    if [ -n "$SIGNERS" ] || [ ! -s "$ROOT/allowed_signers" ]; then
        install -m 644 "${SIGNERS:-$HERE/allowed_signers}" "$ROOT/allowed_signers"
    fi
}

enrol() {
    [ -n "$ENROL" ] || return 0
    if [ -f "$MEMORY/enrolled" ] && [ "$(cat "$MEMORY/enrolled")" = "$(printf '%s' "$ENROL" | sha256sum)" ]; then
        ok "this code was used by this device already"
        return 0
    fi
    ctl enrol "$ENROL" ${REPLACE:+--replace}
    # A code works once: the same command again must not stumble over it.
    printf '%s' "$ENROL" | sha256sum >"$MEMORY/enrolled"
}

install_release() {
    if [ -z "$ARCHIVE" ] && release_installed; then return 0; fi
    # There is nothing to go back to at a first installation, so it is watched for a short time.
    if release_installed; then ctl update --now ${ARCHIVE:+--from "$ARCHIVE"}; else
        UPDATE_SOAK=${UPDATE_SOAK:-5} ctl update --now ${ARCHIVE:+--from "$ARCHIVE"} ||
            die "the release was not installed (the reason is above): run the same command again when that is solved"
    fi
}

install_units() {
    local offered=$ROOT/current/deployment name
    for name in visant-device-v2.service visant-update.service visant-update.timer visant-clock.service visant-clock.timer; do
        remember file "$UNITS/$name"
        install -m 644 "$offered/systemd/$name" "$UNITS/$name"
    done
    remember file /etc/logrotate.d/visant-update
    install -m 644 "$offered/systemd/visant-update.logrotate" /etc/logrotate.d/visant-update
    remember file /usr/local/bin/visantctl
    install -m 755 "$offered/bin/visantctl-launcher" /usr/local/bin/visantctl
    systemctl daemon-reload
    systemctl enable --quiet visant-device-v2.service visant-update.timer visant-clock.timer
    systemctl start visant-update.timer visant-clock.timer
    # Picks up an edited .env.device; a service that runs with it already is left alone by Compose.
    systemctl restart visant-device-v2.service || die "the service did not start: journalctl -u visant-device-v2 -n 50"
}

install_addwifi() {
    local user home
    [ -z "$SKIP_WIFI" ] && [ -f "$ROOT/current/deployment/addwifi.sh" ] || return 0
    user=${SUDO_USER:-root}
    home=$(getent passwd "$user" | cut -d: -f6)
    [ -d "$home" ] || return 0
    remember file "$home/addwifi.sh"
    ln -sfn "$ROOT/current/deployment/addwifi.sh" "$home/addwifi.sh"
}

apply() {
    local started=$SECONDS REBOOT=""
    mkdir -p "$MEMORY"
    exec 8>"$MEMORY/lock"
    flock -n 8 || die "another installation runs on this host: tail -f $LOG"
    CODENAME=$(sed -n 's/^VERSION_CODENAME=//p' "$OS_RELEASE" | tr -d '"')
    # A daemon started below must not inherit the lock.
    write_settings
    { use_uplink; install_what_is_missing; ensure_address_pools; } 8>&-
    fix_cmdline
    enrol
    install_release 8>&-
    install_units 8>&-
    install_addwifi
    say "installed in $((SECONDS - started)) s"
    "$ROOT/current/deployment/verify_deployment.sh" --wait 60 || die "installed, and something needs attention: see above"
    [ -z "$REBOOT" ] || say "reboot once, so that memory limits work: sudo reboot"
    say "logs: visantctl logs -f        state: visantctl status        after an edit of $ROOT/.env.device: sudo systemctl restart visant-device-v2"
}

# The work goes on when the terminal, or the SSH session, goes away: it runs in a session of its own and writes to a
# log, which is shown here.
apply_detached() {
    local pid tail_pid from status=0
    touch "$LOG" && chmod 600 "$LOG"
    from=$(($(stat -c %s "$LOG") + 1))
    VISANT_INSTALL_APPLY=yes FIX_CMDLINE="$FIX_CMDLINE" setsid bash "$HERE/install_device.sh" "${WORDS[@]}" >>"$LOG" 2>&1 <&3 3<&- &
    pid=$!
    trap 'kill -TERM -- -$pid 2>/dev/null; printf "\ninterrupted: the same command again goes on where it stopped\n"; exit 130' INT TERM
    tail -c "+$from" -s 0.2 --pid="$pid" -f "$LOG" &
    tail_pid=$!
    wait "$pid" || status=$?
    wait "$tail_pid" 2>/dev/null || true
    return "$status"
}

if [ -n "${VISANT_INSTALL_APPLY:-}" ]; then
    trap '' HUP
    trap 'exit 143' TERM
    say "--- $(date '+%F %T %Z') install_device.sh"
    apply
    exit 0
fi
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
exec 3</dev/null
[ "$TOKEN_FILE" != - ] || exec 3<&0
mkdir -p "$(dirname "$LOG")"
apply_detached
