# shellcheck shell=bash  # sourced by install_device.sh and uninstall.sh; needs bash
# How people get at this device: WiFi, the hotspot with which it is given, and Tailscale. All of it is optional: what
# cannot be had is said, and the installation goes on.

TAILSCALE_ARCHIVE=${VISANT_TAILSCALE_ARCHIVE:-https://pkgs.tailscale.com/stable/debian}
TAILSCALE_KEYRING=/usr/share/keyrings/tailscale-archive-keyring.gpg

has_radio() { compgen -G '/sys/class/net/*/phy80211' >/dev/null; }
wants_hotspot() { [ -z "$SKIP_WIFI" ] && { [ -n "$HOTSPOT_OPEN" ] || has_radio; }; }

# Read in the foreground, where standard input still is; it waits in memory, for root alone.
KEY_FILE=/run/visant-tailscale-key
read_tailscale_key() {
    [ -n "$TAILSCALE_KEY" ] || return 0
    (
        umask 077
        if [ "$TAILSCALE_KEY" = - ]; then head -c 4096 >"$KEY_FILE"; else head -c 4096 "$TAILSCALE_KEY" >"$KEY_FILE"; fi
    ) || die "--tailscale-key $TAILSCALE_KEY cannot be read"
    [ -z "${VISANT_KEY_SHOWN:-}" ] ||
        warn "the key stood on the command line, where the shell's history keeps it: give a file, or - and a pipe"
}

check_access_flags() {
    [ -z "$HOTSPOT_OPEN" ] || [ -z "$SKIP_WIFI" ] || wrong_flag "--hotspot-open and --skip-wifi: give one"
    [ -z "$SKIP_TAILSCALE" ] || [ -z "$TAILSCALE_KEY" ] || wrong_flag "--tailscale-key and --skip-tailscale: give one"
    case "$TAILSCALE_KEY" in
    -) [ "$TOKEN_FILE" != - ] && [ "$ENROL_FILE" != - ] || wrong_flag "only one secret can come from standard input" ;;
    *) [ -z "$TAILSCALE_KEY" ] || [ -r "$TAILSCALE_KEY" ] || wrong_flag "--tailscale-key $TAILSCALE_KEY: neither a key (tskey-...) nor a file" ;;
    esac
}

install_hotspot() {
    local drop_in=/etc/systemd/system/comitup-web.service.d/visant.conf
    if ! wants_hotspot; then
        [ -n "$SKIP_WIFI" ] || ok "no WiFi radio here: no hotspot (later: --hotspot-open, or visantctl hotspot setup)"
        return 0
    fi
    if ! dpkg-query -W -f '${db:Status-Abbrev}' comitup 2>/dev/null | grep -q '^ii'; then
        remember file /etc/comitup.conf
        remember file "$drop_in"
        # Before the package: its first start would be an open hotspot with a name of its own.
        ctl hotspot setup ${HOTSPOT_OPEN:+--open} >/dev/null || return 0
        (
            apt-cache show comitup >/dev/null 2>&1 || update_lists
            install_packages -o Dpkg::Options::=--force-confold comitup
        ) || {
            warn "no hotspot: Comitup was not installed. Later: sudo apt-get install comitup; sudo visantctl hotspot setup"
            return 0
        }
    fi
    ctl hotspot setup ${HOTSPOT_OPEN:+--open} || warn "the hotspot was not started: the reason is above"
}

# Before its packages go. WiFi networks stay, the profile of its own hotspot goes.
remove_hotspot() {
    local name
    remembered package | grep -qx comitup || return 0
    systemctl disable --quiet --now comitup.service comitup-web.service 2>/dev/null || true
    name=$(sed -n 's/^ap_name: //p' /etc/comitup.conf 2>/dev/null) || true # gone already, after a run that was cut short
    [ -z "$name" ] || nmcli connection delete id "$name-0000" >/dev/null 2>&1 || true
    rm -rf /etc/comitup.conf /etc/systemd/system/comitup-web.service.d /var/lib/comitup /var/log/comitup*.log*
}

add_tailscale_archive() {
    python3 - "$TAILSCALE_ARCHIVE/$CODENAME.noarmor.gpg" "$TAILSCALE_KEYRING" <<'PYTHON'
import pathlib
import sys
import urllib.request

try:
    with urllib.request.urlopen(sys.argv[1], timeout=30) as answer:
        key = answer.read(1_000_000)
except (OSError, ValueError) as error:
    sys.exit(f"{sys.argv[1]}: {error}")
pathlib.Path(sys.argv[2]).write_bytes(key)
PYTHON
    printf 'deb [signed-by=%s] %s %s main\n' "$TAILSCALE_KEYRING" "$TAILSCALE_ARCHIVE" "$CODENAME" \
        >/etc/apt/sources.list.d/tailscale.list
}

# Tailscale is not remembered for the uninstallation: it may be the only way to this device.
install_tailscale() {
    [ -f "$KEY_FILE" ] || return 0
    if ! command -v tailscale >/dev/null; then
        (add_tailscale_archive && apt update && apt install -y tailscale) || {
            rm -f "$KEY_FILE" "$TAILSCALE_KEYRING" /etc/apt/sources.list.d/tailscale.list
            warn "no remote access: Tailscale's packages cannot be had. Later: the same command again"
            return 0
        }
    fi
    ctl remote setup --key-file "$KEY_FILE" ||
        warn "no remote access: the reason is above. Later: sudo visantctl remote setup --key-file F"
    rm -f "$KEY_FILE"
}
