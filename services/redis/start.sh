#!/bin/sh
# Starts Redis, and does not let a damaged append-only file keep the device down.
#
# Redis itself loads a file whose tail is torn. Where it refuses the file, and does start without it, the
# append directory is set aside (kept, never deleted while among the newest KEEP) and Redis starts empty:
# the cloud replays every command that has no outcome yet.
#
#   REDIS_MAXMEMORY       bytes for the data set, Redis notation (default 64mb)
#   REDIS_MIN_FREE_BYTES  free space needed to start (default 4194304): with less, Redis would end at its
#                         first write, again and again
set -eu

CONF=/etc/visant/redis.conf
DATA=${REDIS_DATA:-/data}
AOF=$DATA/appendonlydir
ASIDE=$DATA/set-aside
KEEP=3
MIN_FREE=${REDIS_MIN_FREE_BYTES:-4194304}
MAXMEMORY=${REDIS_MAXMEMORY:-64mb}
TRY=/tmp/redis-try
server=

say() { echo "redis: $*"; }

# shellcheck disable=SC2329  # the trap calls it
stop() {
    trap '' TERM INT
    [ -z "$server" ] || { kill -TERM "$server" 2>/dev/null || true; wait "$server" || true; }
    exit 0
}
trap stop TERM INT

# Sleeps in a way that a signal ends.
rest() { sleep "$1" & wait $! || true; }

free_bytes() { df -Pk "$DATA" | awk 'NR == 2 { printf "%.0f", $4 * 1024 }'; }

wait_for_space() {
    said=-60
    waited=0
    while [ "$(free_bytes)" -lt "$MIN_FREE" ]; do
        if [ $((waited - said)) -ge 60 ]; then
            say "disk full: $(free_bytes) bytes free in $DATA, $MIN_FREE needed (REDIS_MIN_FREE_BYTES): free some space, Redis starts by itself"
            said=$waited
        fi
        rest 2
        waited=$((waited + 2))
    done
}

# Sets `loaded` to yes once Redis has read its file and answers; returns when it does, or has ended.
run_until_loaded() {
    loaded=no
    redis-server "$CONF" --dir "$DATA" --maxmemory "$MAXMEMORY" &
    server=$!
    while kill -0 "$server" 2>/dev/null; do
        if [ "$(redis-cli -t 1 ping 2>/dev/null)" = PONG ]; then
            loaded=yes
            return
        fi
        rest 0.1
    done
}

# The control: the same settings, no file to read, no port. Whatever is wrong now is not the file.
starts_without_file() {
    mkdir -p "$TRY"
    redis-server "$CONF" --dir "$TRY" --maxmemory "$MAXMEMORY" --appendonly no --port 0 \
        --unixsocket "$TRY/socket" --loglevel warning &
    server=$!
    answered=no
    while kill -0 "$server" 2>/dev/null; do
        if [ "$(redis-cli -s "$TRY/socket" ping 2>/dev/null)" = PONG ]; then
            answered=yes
            redis-cli -s "$TRY/socket" shutdown nosave >/dev/null 2>&1 || true
            break
        fi
        rest 0.1
    done
    wait "$server" || true
    [ "$answered" = yes ]
}

# Oldest first; named by number and then by time, for the clock of a device may jump back.
kept() { find "$ASIDE" -mindepth 1 -maxdepth 1 -exec basename {} \; | sort; }

set_aside() {
    mkdir -p "$ASIDE"
    number=$(($(kept | sed 's/-.*//; s/^0*//' | sort -n | tail -n 1) + 1))
    target=$ASIDE/$(printf '%06d' "$number")-$(date -u +%Y%m%dT%H%M%SZ)
    mv "$AOF" "$target"
    sync "$ASIDE" "$DATA"
    say "the append-only file is damaged and was set aside as $target; starting with an empty queue, the cloud replays what has no outcome"
    kept | head -n "-$KEEP" | while read -r old; do rm -rf "${ASIDE:?}/$old"; done
}

wait_for_space
run_until_loaded
if [ "$loaded" = no ]; then
    status=0
    wait "$server" || status=$?
    # Ended by a signal (128 and more), e.g. for want of memory: says nothing about the file.
    if [ "$status" -eq 0 ] || [ "$status" -ge 128 ] || [ ! -d "$AOF" ] || ! starts_without_file; then
        say "Redis ended with status $status before it was ready"
        exit "$status"
    fi
    set_aside
    run_until_loaded
fi
status=0
wait "$server" || status=$?
exit "$status"
