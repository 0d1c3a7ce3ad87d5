# shellcheck shell=bash disable=SC2034  # sourced by install_device.sh, which uses what is set here; needs bash
# The command line of install_device.sh.

usage() {
    cat <<'HELP'
sudo ./install_device.sh [FLAGS]

  With /opt/visant/.env.device in place, or on a host that runs the git-based version, no flag is needed but the
  release. Otherwise:
  --device-id ID          the name under which the cloud knows this device
  --api-url URL           the cloud, for example https://your-cloud.example
  --token-file F          file that holds the device's token (- is standard input)
  --enrol-file F          or a file with a one-time code, made with: visant-cloud enrol-code (- is standard input)
  --enrol CODE            the same on the command line, where ps and the shell's history show it
  --replace               with a code: takes over the id of a device that died; that one's token ends

  --from RELEASE.TAR      takes the release from this archive, without a registry
  --update-url URL        where releases are published; kept in .env.device
  --allowed-signers F     keys that may sign releases (default: allowed_signers beside this script)
  --channel NAME          stable or beta (--branch main|dev is its old name)
  --proxy URL             the site's proxy, http://host:port (one with a password: into .env.device, before)
  --ca-file F             the site's own authorities (PEM), trusted beside the public ones; kept in /opt/visant/secrets
  --camera SOURCE         0, /dev/v4l/by-id/..., rtsp://..., fake
  --skip-wifi             neither addwifi.sh in the user's home folder nor a hotspot
  --hotspot-open          the hotspot has no password (without this flag it gets one, which is printed)
  --tailscale-key K       remote access: a file that holds an auth key, - for standard input, or the key
  --skip-tailscale        no remote access, as without a key
  --skip-watchdog         leaves the hardware watchdog off; without it, a host that hangs is restarted
  --security-updates      installs Debian's security updates every day (unattended-upgrades)

  --yes                   asks nothing. Without a terminal nothing is asked either
  --dry-run               checks, says what it would do, changes nothing
HELP
}

DEVICE_ID="" API_URL="" TOKEN_FILE="" ENROL_FILE="" REPLACE="" ARCHIVE="" UPDATE_URL="" SIGNERS="" CHANNEL="" CAMERA=""
PROXY="" CA_FILE=""
SKIP_WIFI="" HOTSPOT_OPEN="" TAILSCALE_KEY="" SKIP_TAILSCALE="" SKIP_WATCHDOG=""
SECURITY_UPDATES="" YES="" DRY_RUN=""

need_value() { [ $# -ge 2 ] && [ -n "$2" ] || wrong_flag "$1 needs a value"; }

parse_flags() {
    while [ $# -gt 0 ]; do
        case "$1" in
        --device-id | --api-url | --token-file | --enrol | --enrol-file | --from | --update-url | --allowed-signers | \
            --channel | --branch | --camera | --proxy | --ca-file | --tailscale-key) need_value "$@" ;;
        esac
        case "$1" in
        --device-id) DEVICE_ID=$2 && shift ;;
        --api-url) API_URL=$2 && shift ;;
        --token-file) TOKEN_FILE=$2 && shift ;;
        --enrol-file) ENROL_FILE=$2 && shift ;;
        --enrol) # hide_code left only the - that stands for standard input
            ENROL_FILE=$2 && shift
            [ "$ENROL_FILE" = - ] || die "internal: a code in the arguments" ;;
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
        --hotspot-open) HOTSPOT_OPEN=yes ;;
        --tailscale-key) TAILSCALE_KEY=$2 && shift ;;
        --skip-tailscale) SKIP_TAILSCALE=yes ;;
        --skip-watchdog) SKIP_WATCHDOG=yes ;;
        --security-updates) SECURITY_UPDATES=yes ;;
        --yes | -y) YES=yes ;;
        --dry-run) DRY_RUN=yes ;;
        --help | -h) usage && exit 0 ;;
        *) wrong_flag "$1 is no flag of this script" ;;
        esac
        shift
    done
}

# The value that a setting will have: the flag's, else the file's, else that of the services to take over from.
setting() { # KEY FLAG-VALUE
    local value=$2
    [ -n "$value" ] || value=$(value_in "$1" "$ROOT/.env.device")
    [ -n "$value" ] || value=$(old_services --settings | sed -n "s/^$1=//p")
    printf '%s\n' "$value"
}

value_in() { # KEY FILE
    [ -r "$2" ] || return 0
    sed -n "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*//p" "$2" | tail -n 1 | sed "s/^'\(.*\)'\$/\1/; s/^\"\(.*\)\"\$/\1/; s/[[:space:]]*\$//"
}

check_flags() {
    local url id
    [ -z "$ENROL_FILE" ] || [ -z "$TOKEN_FILE" ] || wrong_flag "--enrol and --token-file are two ways to the same thing: give one"
    [ -z "$REPLACE" ] || [ -n "$ENROL_FILE" ] || wrong_flag "--replace belongs to --enrol"
    readable --from "$ARCHIVE"
    readable --allowed-signers "$SIGNERS"
    readable --ca-file "$CA_FILE"
    [ "$TOKEN_FILE" = - ] || readable --token-file "$TOKEN_FILE"
    [ "$ENROL_FILE" = - ] || readable --enrol-file "$ENROL_FILE"
    check_access_flags
    case "$CHANNEL" in *[!a-z0-9-]* | -* | [0-9]*) wrong_flag "--channel $CHANNEL: a word such as stable or beta" ;; esac
    url=$(setting API_URL "$API_URL")
    [ -n "$url" ] || wrong_flag "--api-url is needed: $ROOT/.env.device does not name one"
    case "$url" in
    http://?* | https://?*) ;;
    *) wrong_flag "--api-url $url: it must look like https://your-cloud.example" ;;
    esac
    id=$(setting DEVICE_ID "$DEVICE_ID")
    [ -n "$ENROL_FILE$id" ] || wrong_flag "--device-id is needed: $ROOT/.env.device does not name one"
    if [ -n "$id" ] && ! [[ $id =~ ^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$ ]]; then
        wrong_flag "--device-id $id: 1 to 64 letters, digits, dots, hyphens or underscores, beginning with a letter or digit"
    fi
}

readable() { # FLAG FILE
    [ -z "$2" ] || [ -e "$2" ] || wrong_flag "$1 $2: no such file"
    [ -z "$2" ] || { [ -r "$2" ] && [ ! -d "$2" ]; } || wrong_flag "$1 $2: cannot be read"
}
