#!/bin/sh
# Says what `visant-... health` would say. A shell, because it runs every second in every container.
if [ "$BEHAVIOUR" = unhealthy ] || [ -e /tmp/hangs ]; then
    echo "unhealthy: told so"
    exit 1
fi
case "$SERVICE" in
redis) [ "$(redis-cli ping)" = PONG ] || exit 1 ;;
connector)
    if [ "$BEHAVIOUR" = deaf ] || [ ! -e /site/cloud ]; then
        echo "degraded: cloud: no stream"
        exit 0
    fi
    ;;
esac
echo healthy
