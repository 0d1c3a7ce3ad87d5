# shellcheck shell=bash  # sourced by the scripts of deployment/, never run; needs bash
# One line an event, and one line for a mistake; no trace.

say() { printf '%s\n' "$*"; }
ok() { printf '  ok    %s\n' "$*"; }
warn() { printf '  warn  %s\n' "$*"; }

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

wrong_flag() {
    printf '%s: %s (see --help)\n' "$(basename "$0")" "$*" >&2
    exit 2
}

# confirm QUESTION: yes without --yes only where somebody can answer; without a terminal the flags are the answer.
confirm() {
    local answer
    [ -z "${YES:-}" ] && [ -t 0 ] && [ -t 1 ] || return 0
    read -r -p "$1 [Y/n] " answer || return 1
    case "$answer" in "" | [yY] | [yY][eE][sS]) ;; *) return 1 ;; esac
}
