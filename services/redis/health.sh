#!/bin/sh
# Healthy: Redis answers, has loaded its data, and its last write to the append-only file succeeded.
[ "$(redis-cli -t 3 ping 2>&1)" = PONG ] || exit 1
redis-cli -t 3 info persistence | tr -d '\r' | grep -qx 'aof_last_write_status:ok'
