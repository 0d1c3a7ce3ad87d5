# shellcheck shell=bash  # sourced by install_device.sh and uninstall.sh; needs bash
# How people get at this device: WiFi, the hotspot with which it is given, and Tailscale. All of it is optional: what
# cannot be had is said, and the installation goes on.

TAILSCALE_ARCHIVE=${VISANT_TAILSCALE_ARCHIVE:-https://pkgs.tailscale.com/stable/debian}
TAILSCALE_KEYRING=/usr/share/keyrings/tailscale-archive-keyring.gpg

has_radio() { compgen -G '/sys/class/net/*/phy80211' >/dev/null; }
wants_hotspot() { [ -z "$SKIP_WIFI" ] && { [ -n "$HOTSPOT_OPEN" ] || has_radio; }; }

# A key is the value itself, a file that holds it, or - for standard input. It goes on as a file that only root reads:
# the work below runs as a process of its own, and its flags are in everybody's list of processes.
take_tailscale_key() {
    local file=/run/visant-tailscale-key n
    [ -n "$TAILSCALE_KEY" ] && [ "$TAILSCALE_KEY" != "$file" ] || return 0
    (
        umask 077
        case "$TAILSCALE_KEY" in
        -) cat >"$file" ;;
        tskey-*) printf '%s\n' "$TAILSCALE_KEY" >"$file" ;;
        *) cat "$TAILSCALE_KEY" >"$file" ;;
        esac
    )
    for n in "${!WORDS[@]}"; do
        if [ "${WORDS[$n]}" = --tailscale-key ]; then WORDS[n + 1]=$file; fi
    done
}

check_tailscale_key() {
    case "$TAILSCALE_KEY" in
    "" | -) ;;
    tskey-*) warn "a key on the command line stays in the shell's history: give a file, or - and a pipe" ;;
    *) [ -r "$TAILSCALE_KEY" ] || wrong_flag "--tailscale-key $TAILSCALE_KEY: neither a key (tskey-...) nor a file" ;;
    esac
    [ -z "$SKIP_TAILSCALE" ] || [ -z "$TAILSCALE_KEY" ] || wrong_flag "--tailscale-key and --skip-tailscale: give one"
    [ "$TAILSCALE_KEY" != - ] || [ "$TOKEN_FILE" != - ] || wrong_flag "only one of two secrets can come from standard input"
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
        ctl hotspot setup ${HOTSPOT_OPEN:+--open} >/dev/null
        (
            apt-cache show comitup >/dev/null 2>&1 || update_lists
            PACKAGE_KIND=hotspot-package install_packages -o Dpkg::Options::=--force-confold comitup
        ) || {
            warn "no hotspot: Comitup was not installed. Later: sudo apt-get install comitup; sudo visantctl hotspot setup"
            return 0
        }
    fi
    ctl hotspot setup ${HOTSPOT_OPEN:+--open} || warn "the hotspot was not started: the reason is above"
}

# Only where the installation brought it. WiFi networks stay, its own hotspot's profile goes.
remove_hotspot() {
    local packages name
    mapfile -t packages < <(remembered hotspot-package)
    [ ${#packages[@]} -gt 0 ] || return 0
    systemctl disable --quiet --now comitup.service comitup-web.service 2>/dev/null || true
    name=$(sed -n 's/^ap_name: //p' /etc/comitup.conf 2>/dev/null)
    [ -z "$name" ] || nmcli connection delete id "$name-0000" >/dev/null 2>&1 || true
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 purge -y "${packages[@]}" </dev/null ||
        die "the packages of the hotspot were not removed: run the same command again"
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
    [ -n "$TAILSCALE_KEY" ] || return 0
    if ! command -v tailscale >/dev/null; then
        (add_tailscale_archive && apt update && apt install -y tailscale) || {
            rm -f /etc/apt/sources.list.d/tailscale.list
            warn "no remote access: Tailscale's packages cannot be had. Later: the same command again"
            return 0
        }
    fi
    ctl remote setup --key-file "$TAILSCALE_KEY" ||
        warn "no remote access: the reason is above. Later: sudo visantctl remote setup --key-file F"
    rm -f "$TAILSCALE_KEY"
}
