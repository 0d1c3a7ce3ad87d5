#!/bin/sh
# Starts Redis, and does not let a damaged append-only file keep the device down.
#
# Redis itself loads a file whose tail is torn. Where it refuses the file twice, does start without it, and the file can be
# read, the append directory is set aside (kept, never deleted while among the newest KEEP) and Redis starts empty: the
# cloud replays every command that has no outcome yet. A file that merely cannot be read (its owner, a worn card), or that
# a newer Redis wrote, is left where it is: that is said once a minute, and Redis starts by itself once it can.
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

# Waits a moment; says why, when that is news or a minute old.
reason=
since=0
hold() {
    if [ "$1" != "$reason" ] || [ "$since" -ge 60 ]; then
        say "$1"
        since=0
        reason=$1
    fi
    since=$((since + 3))
    rest 3
}

wait_for_space() {
    while [ "$(free_bytes)" -lt "$MIN_FREE" ]; do
        hold "disk full: less than $MIN_FREE bytes free in $DATA (REDIS_MIN_FREE_BYTES): free some space, Redis starts by itself"
    done
}

# What of the append-only file this user cannot use, with the reason; nothing where it is whole. Reads it to its end.
unusable() {
    for file in "$DATA" "$AOF" "$AOF"/*; do
        [ -e "$file" ] || continue
        if [ -d "$file" ]; then
            [ -r "$file" ] && [ -w "$file" ] && [ -x "$file" ] || { echo "$file belongs to $(owner "$file")"; return; }
        elif ! [ -r "$file" ] || ! [ -w "$file" ]; then
            echo "$file belongs to $(owner "$file")"
            return
        elif ! said=$(cat "$file" 2>&1 >/dev/null); then
            echo "$said"
            return
        fi
    done
}

owner() { stat -c 'user %u with mode %a' "$1"; }

# What a newer Redis left, in words; nothing where it is of this version or older. $1: the RDB version of this one.
newer() {
    for file in "$AOF"/*.rdb; do
        version=$(head -c 9 "$file" 2>/dev/null | tr -d '\0' | sed -n 's/^REDIS0*\([0-9][0-9]*\)$/\1/p')
        if [ -n "$version" ] && [ "$version" -gt "$1" ] && [ "$version" -lt 1000 ]; then
            echo "$file is of RDB version $version, this Redis reads up to $1"
            return
        fi
    done
    # Well-formed, but with words that this Redis may not know.
    awk '{ if ($1 != "file" || NF % 2 || $3 != "seq" || $4 !~ /^[0-9]+$/ || $5 != "type") exit
        for (i = 7; i < NF; i += 2) if ($i !~ /^(startoffset|endoffset)$/) { print FILENAME " has the word " $i; exit }
        if ($6 !~ /^[bhi]$/) { print FILENAME " has the type " $6; exit } }' "$AOF"/*.manifest 2>/dev/null || true
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

# The control: the same settings, no file to read, no port. Whatever is wrong now is not the file. Sets `rdb` to the RDB
# version that this Redis writes.
starts_without_file() {
    mkdir -p "$TRY"
    redis-server "$CONF" --dir "$TRY" --maxmemory "$MAXMEMORY" --appendonly no --port 0 \
        --unixsocket "$TRY/socket" --loglevel warning &
    server=$!
    rdb=
    while kill -0 "$server" 2>/dev/null; do
        if [ "$(redis-cli -s "$TRY/socket" ping 2>/dev/null)" = PONG ]; then
            redis-cli -s "$TRY/socket" save >/dev/null 2>&1 || true
            rdb=$(head -c 9 "$TRY/dump.rdb" 2>/dev/null | sed 's/^REDIS0*//')
            redis-cli -s "$TRY/socket" shutdown nosave >/dev/null 2>&1 || true
            break
        fi
        rest 0.1
    done
    wait "$server" || true
    rm -rf "$TRY"
    [ -n "$rdb" ]
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

# Data without the list that says what of it counts: Redis would take the folder for an empty one, and write over it.
[ ! -d "$AOF" ] || [ -n "$(find "$AOF" -name '*.manifest')" ] || [ -z "$(find "$AOF" -type f)" ] || set_aside

tried=0
while :; do
    wait_for_space
    run_until_loaded
    [ "$loaded" = no ] || break
    status=0
    wait "$server" || status=$?
    # Ended by a signal (128 and more), e.g. for want of memory: says nothing about the file.
    if [ "$status" -eq 0 ] || [ "$status" -ge 128 ] || [ ! -d "$AOF" ] || ! starts_without_file; then
        why=$(unusable)
        say "Redis ended with status $status before it was ready${why:+: $why}"
        exit "$status"
    fi
    tried=$((tried + 1))
    while why=$(unusable) && [ -n "$why" ]; do
        hold "the append-only file cannot be used ($why), and is left as it is: where its owner is wrong, sudo chown -R $(id -u):$(id -g) the volume's folder (docker volume inspect visant_redis), else look at the card (dmesg); Redis starts by itself"
        tried=0
    done
    while why=$(newer "$rdb") && [ -n "$why" ]; do
        hold "a newer Redis wrote the append-only file ($why), and it is left as it is: go back to the newer release; Redis starts by itself"
        tried=0
    done
    [ "$tried" -lt 2 ] || set_aside
done
status=0
wait "$server" || status=$?
exit "$status"
