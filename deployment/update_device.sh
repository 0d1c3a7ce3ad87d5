#!/bin/sh
# The old name of `visantctl update`.
exec visantctl update "$@"
