# shellcheck shell=bash  # sourced by install_device.sh; needs bash
# The device's token or one-time code: read once, never an argument of any process, never in a log.

SECRET=""

# The code of `--enrol CODE`, or a key for Tailscale, goes to a pipe and this script begins anew without it: arguments
# can be read by every user of the host (ps), descriptors cannot. Returns where there is none.
hide_code() {
    local words=() code="" key="" word
    while [ $# -gt 0 ]; do
        word=$1
        shift
        case "$word" in
        --enrol)
            [ $# -gt 0 ] && [ -n "$1" ] || wrong_flag "--enrol needs a value"
            if [ "$1" = - ]; then words+=("$word" -); else
                code=$1
                words+=(--enrol-file /dev/fd/4)
            fi
            shift
            ;;
        --tailscale-key)
            words+=("$word")
            case "${1:-}" in tskey-*)
                key=$1
                words+=(/dev/fd/5)
                shift
                ;;
            esac
            ;;
        *) words+=("$word") ;;
        esac
    done
    [ -n "$code$key" ] || return 0
    exec 4<<<"$code" 5<<<"$key"
    [ -z "$key" ] || export VISANT_KEY_SHOWN=yes
    [ -z "$code" ] || export VISANT_CODE_SHOWN=yes
    unset code key
    exec bash "$HERE/install_device.sh" "${words[@]}"
}

# Into SECRET, before anything is changed: a file on a stick may be gone later, a pipe is read once.
read_secret() {
    local file=${ENROL_FILE:-$TOKEN_FILE} what=${ENROL_FILE:+enrolment code}${TOKEN_FILE:+token}
    [ -n "$file" ] || return 0
    if [ "$file" = - ] && [ -t 0 ]; then
        read -r -s -p "The $what (it is not shown): " SECRET
        echo
    else
        [ "$file" != - ] || file=/dev/stdin
        SECRET=$(head -c 4096 "$file" | tr -d '\0' | tr -s '[:space:]' ' ' | sed 's/^ //; s/ $//') || die "$file cannot be read"
    fi
    case "$SECRET" in
    "") die "$file holds no $what" ;;
    *' '*) die "$file must hold the $what alone, as one word" ;;
    esac
    if [ -n "${VISANT_CODE_SHOWN:-}" ]; then
        warn "the code stood on the command line, where ps and the shell's history show it; it works once. --enrol-file keeps it out"
    fi
}
