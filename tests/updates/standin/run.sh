#!/bin/sh
# A stand-in for a service: answers as the real ones do, and fails as told by BEHAVIOUR (baked into its image).
#
#   ok          healthy
#   unhealthy   runs, its healthcheck fails
#   crashing    its healthcheck passes, the process ends after a moment
#   deaf        the connector never has its stream
#   blind       the camera never has a picture
echo "$SERVICE $BEHAVIOUR runs"
case "$SERVICE" in
redis) exec redis-server --save "" --appendonly no --dir /tmp --protected-mode no --loglevel warning ;;
camera) exec perl /camera.pl ;;
esac
trap 'exit 0' TERM
if [ "$BEHAVIOUR" = crashing ]; then
    sleep 2.5 &
    wait $!
    echo "$SERVICE crashes"
    exit 1
fi
sleep 1000000 &
wait $!
