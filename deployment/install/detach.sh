# shellcheck shell=bash  # sourced by install_device.sh; needs bash
# The work goes on when the terminal, or the SSH session, goes away: it runs in a session of its own and writes to a
# log, which is shown here.

run_detached() {
    local pid tail_pid from status=0
    mkdir -p "$(dirname "$LOG")"
    touch "$LOG" && chmod 600 "$LOG"
    from=$(($(stat -c %s "$LOG") + 1))
    # SECRET by a pipe: a file would have to be wiped, an argument or a variable can be read.
    VISANT_INSTALL_APPLY=yes FIX_CMDLINE="$FIX_CMDLINE" setsid bash "$HERE/install_device.sh" "$@" \
        >>"$LOG" 2>&1 < <(printf '%s\n' "$SECRET") &
    pid=$!
    trap 'kill -TERM -- -$pid 2>/dev/null; printf "\ninterrupted: the same command again goes on where it stopped\n"; exit 130' INT TERM
    tail -c "+$from" -s 0.2 --pid="$pid" -f "$LOG" &
    tail_pid=$!
    wait "$pid" || status=$?
    wait "$tail_pid" 2>/dev/null || true
    return "$status"
}
