# shellcheck shell=bash  # sourced by install_device.sh; needs bash
# What must be true of a host before anything on it is changed. Each check says one line; FAILED counts those that
# end the installation.

FAILED=0
bad() {
    printf '  FAIL  %s\n' "$*"
    FAILED=$((FAILED + 1))
}

check_system() {
    local bits id codename
    bits=$(getconf LONG_BIT)
    case "$(uname -m)/$bits" in
    aarch64/64 | x86_64/64) ok "64-bit $(uname -m)" ;;
    *) bad "$(uname -m) with $bits-bit programs: flash the 64-bit Raspberry Pi OS" ;;
    esac
    id=$(sed -n 's/^ID=//p' "$OS_RELEASE" | tr -d '"')
    codename=$(sed -n 's/^VERSION_CODENAME=//p' "$OS_RELEASE" | tr -d '"')
    case "$id/$codename" in
    debian/bookworm | debian/trixie | raspbian/bookworm | raspbian/trixie) ok "$id $codename" ;;
    *) bad "${id:-unknown} ${codename:-system}: flash Raspberry Pi OS (64-bit) bookworm or trixie" ;;
    esac
    [ -d /run/systemd/system ] || bad "systemd does not run here: boot the device normally, not from a rescue shell"
}

# Free space of the file system that will hold PATH, which need not exist yet. In MB.
free_mb() {
    local path=$1
    until [ -d "$path" ]; do path=$(dirname "$path"); done
    df -Pm "$path" | awk 'NR == 2 { print $4 }'
}

check_disk() {
    local free
    free=$(free_mb /var/lib/docker)
    if [ "$free" -lt "$MIN_FREE_MB" ]; then
        bad "$free MB free for Docker, $MIN_FREE_MB MB are needed: use a larger card, or expand the file system"
    else
        ok "$free MB free"
    fi
}

memory_limits_work() {
    if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
        grep -qw memory /sys/fs/cgroup/cgroup.controllers
    else
        awk '$1 == "memory" && $4 == 1 { found = 1 } END { exit !found }' /proc/cgroups
    fi
}

# The kernel's command line on a Pi; empty where there is none.
cmdline_file() {
    local file
    for file in /boot/firmware/cmdline.txt /boot/cmdline.txt; do
        # bookworm leaves a note in the old place that says where the real one is.
        if [ -f "$file" ] && ! grep -q 'DO NOT EDIT' "$file"; then
            printf '%s\n' "$file"
            return
        fi
    done
}

check_memory_limits() {
    if memory_limits_work; then
        ok "memory limits work"
    elif [ -n "$(cmdline_file)" ]; then
        warn "memory limits are off in this kernel: cgroup_enable=memory goes into $(cmdline_file), good after a reboot"
        # shellcheck disable=SC2034  # install_device.sh reads it
        FIX_CMDLINE=yes
    else
        warn "memory limits are off in this kernel: add cgroup_enable=memory to its command line"
    fi
}

check_clock() {
    if ! clock_is_plausible; then
        warn "the clock says $(date +%F): it is set by the cloud's answer before anything is downloaded"
    elif [ "$(timedatectl show -p NTPSynchronized --value 2>/dev/null)" = yes ]; then
        ok "clock synchronised, $(date '+%F %R %Z')"
    else
        warn "clock not synchronised ($(date '+%F %R %Z')): is NTP blocked here? The cloud's answers set it then"
    fi
}

check_camera() {
    local source=$1 found
    case "$source" in
    "" | [0-9]* | /dev/*)
        found=$(find /dev -maxdepth 1 -name 'video[0-9]*' | sort | head -n 1)
        if [ -n "$found" ]; then
            ok "a video device ($found)"
        else
            warn "no camera is plugged in: the installation goes on, and the camera is seen when it comes"
        fi
        ;;
    *) ok "camera source $source" ;;
    esac
}

# reach URL: opens a connection to its host, nothing more.
reach() {
    # By the environment: a proxy's address may hold a password, and arguments are for all to see.
    VISANT_REACH=$1 python3 - <<'PYTHON'
import os
import socket
import sys
import urllib.parse

parts = urllib.parse.urlsplit(os.environ["VISANT_REACH"])
try:
    socket.create_connection((parts.hostname or "", parts.port or {"http": 80}.get(parts.scheme, 443)), 8).close()
except (OSError, ValueError) as error:
    sys.exit(str(error))
PYTHON
}

check_network() {
    local url=$1 proxy=$2 what=$1 why
    [ -n "$url" ] || return 0
    # What lies behind a proxy is for visantctl to try, with its password and CA.
    [ -z "$proxy" ] || what="the site's proxy"
    if why=$(reach "${proxy:-$url}" 2>&1); then
        ok "$what can be reached"
    elif [ -n "$ENROL_FILE" ]; then
        bad "$what cannot be reached ($why), and enrolment needs it: check cable, WiFi, --api-url and --proxy"
    else
        warn "$what cannot be reached now ($why): the device connects when it can"
    fi
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
    # shellcheck disable=SC2034  # install_device.sh reads it
    REBOOT=yes
}
