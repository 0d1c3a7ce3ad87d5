#!/usr/bin/env bash
# Adds a WiFi network to this device, or changes the password of one that it knows. NetworkManager keeps the profile;
# a network that is not in range now is joined when it is.
set -euo pipefail
export LC_ALL=C.UTF-8 # elsewhere nmcli prints an umlaut as a question mark, and a known network is not recognised

usage() {
    cat <<'HELP'
sudo ./addwifi.sh SSID [PASSWORD] [--priority N] [--hidden]
sudo ./addwifi.sh --list
  PASSWORD       asked for when it is not given; from a pipe, its first line. An empty one means an open network
  --priority N   0 to 999; among networks in range the highest wins (default 10,
                 or what the network has already). Its old form is a third word
  --hidden       the network does not announce its name
  --list         the networks that this device knows, without passwords
HELP
}

die() {
    printf 'addwifi.sh: %s\n' "$*" >&2
    exit "${2:-1}"
}
wrong() {
    printf 'addwifi.sh: %s (see --help)\n' "$*" >&2
    exit 2
}

SSID="" PASSWORD="" GIVEN="" PRIORITY="" HIDDEN="" LIST="" FLAGS=yes
while [ $# -gt 0 ]; do
    case "$FLAGS$1" in
    yes--) FLAGS="" ;; # what follows is a name, whatever it begins with
    yes--priority)
        [[ "${2:-}" =~ ^[0-9]{1,3}$ ]] || wrong "--priority ${2:-} must be a number from 0 to 999"
        PRIORITY=$2
        shift
        ;;
    yes--hidden) HIDDEN=yes ;;
    yes--list) LIST=yes ;;
    yes--help | yes-h) usage && exit 0 ;;
    yes--*) wrong "$1 is no flag of this script" ;;
    *)
        if [ -z "$SSID" ]; then SSID=$1; elif [ -z "$GIVEN" ]; then PASSWORD=$1 GIVEN=yes; elif [ -z "$PRIORITY" ] && [[ $1 =~ ^[0-9]{1,3}$ ]]; then PRIORITY=$1; else wrong "too many words: put a name with spaces between quotes"; fi
        ;;
    esac
    shift
done

command -v nmcli >/dev/null || die "NetworkManager is missing: this device's networks are not managed by it"

if [ -n "$LIST" ]; then
    nmcli -t -f NAME,TYPE,AUTOCONNECT-PRIORITY,ACTIVE connection show |
        awk -F: '$(NF-2) == "802-11-wireless" { n = $1; for (i = 2; i <= NF - 3; i++) n = n ":" $i
            gsub(/\\:/, ":", n); printf "%-34s priority %-4s %s\n", n, $(NF-1), ($NF == "yes" ? "connected" : "") }'
    exit 0
fi
[ -n "$SSID" ] || wrong "the name of the network is missing"
[ "$(printf %s "$SSID" | wc -c)" -le 32 ] || wrong "a network's name has at most 32 bytes"
[ "$(id -u)" = 0 ] || die "not root: sudo $0"

if [ -n "$GIVEN" ]; then
    echo "addwifi.sh: a password on the command line stays in the shell's history; leave it out and you are asked" >&2
elif [ -t 0 ]; then
    IFS= read -r -s -p "Password of $SSID (empty: open network): " PASSWORD
    echo
else
    IFS= read -r PASSWORD || true
fi
PASSWORD=${PASSWORD%$'\r'} # a file that was written on Windows
if [ -n "$PASSWORD" ]; then
    # All before anything is touched: nmcli cuts blanks off, drops control characters, and saves the rest of the
    # profile without a password that it refused.
    case "$PASSWORD" in ' '* | *' ') wrong "a WiFi password that begins or ends with a blank cannot be stored" ;; esac
    [[ $PASSWORD =~ ^[[:print:]]+$ ]] || wrong "a WiFi password has no control characters, and is UTF-8"
    length=$(printf %s "$PASSWORD" | wc -c)
    [[ $length -ge 8 && $length -le 63 || $PASSWORD =~ ^[0-9A-Fa-f]{64}$ ]] ||
        wrong "a WiFi password has 8 to 63 characters, or 64 that are all hex digits: this has $length"
fi

# The one profile of this network that addwifi.sh made, or one of the same name that was here before.
profile() {
    local uuid
    nmcli -t -f UUID,TYPE connection show | sed -n 's/:802-11-wireless$//p' | while read -r uuid; do
        if [ "$(nmcli -g 802-11-wireless.ssid connection show "$uuid" 2>/dev/null)" = "$(escaped "$SSID")" ]; then
            printf '%s\n' "$uuid"
            break
        fi
    done
}
# As `nmcli -g` prints values.
escaped() { printf '%s' "$1" | sed 's/[\\:]/\\&/g'; }

uuid=$(profile)
verb=changed
if [ -z "$uuid" ]; then
    verb=added
    PRIORITY=${PRIORITY:-10}
    uuid=$(cat /proc/sys/kernel/random/uuid)
    nmcli connection add type wifi con-name "$SSID" ssid "$SSID" connection.uuid "$uuid" >/dev/null ||
        die "NetworkManager did not take the profile"
fi
# The password goes through a pipe: no other user sees it among the running programs. And nmcli keeps a history of
# what it is told, in the user's home folder: here it has none.
{
    printf 'set connection.autoconnect yes\n'
    [ -z "$PRIORITY" ] || printf 'set connection.autoconnect-priority %s\n' "$PRIORITY"
    # For ever: the access point that is away for a night must be found again.
    printf 'set connection.autoconnect-retries 0\n'
    [ -z "$HIDDEN" ] || printf 'set 802-11-wireless.hidden yes\n'
    if [ -n "$PASSWORD" ]; then
        printf 'set 802-11-wireless-security.key-mgmt wpa-psk\nset 802-11-wireless-security.psk %s\n' "$PASSWORD"
    else
        printf 'remove 802-11-wireless-security\n'
    fi
    printf 'save persistent\nquit\n'
} | HOME=/nonexistent nmcli connection edit uuid "$uuid" >/dev/null 2>&1 || true

# What is stored is what counts: a known network has a password in any case, the old one. Asked again, because trixie's
# nmcli leaves secrets out now and then.
took_it() {
    local stored
    for _ in 1 2 3 4 5; do
        stored=$(nmcli -s -e no -g 802-11-wireless-security.key-mgmt,802-11-wireless-security.psk connection show "$uuid" 2>/dev/null || true)
        if [ "$stored" = "${PASSWORD:+wpa-psk$'\n'$PASSWORD}" ]; then return 0; fi
        sleep 0.2
    done
    return 1
}
if ! took_it; then
    [ "$verb" = added ] || die "NetworkManager did not take the password of $SSID: the old profile stays"
    nmcli connection delete uuid "$uuid" >/dev/null
    die "NetworkManager did not take the password of $SSID: nothing was added"
fi
echo "$SSID $verb$([ -n "$PASSWORD" ] || echo ", open: anybody nearby can read along")"
if nmcli -t -f DEVICE,TYPE device | grep -q ':wifi$'; then
    nmcli --wait 30 connection up uuid "$uuid" >/dev/null 2>&1 && echo "connected to $SSID" ||
        echo "not in range now, or the password is wrong: it is tried whenever $SSID is seen"
fi
