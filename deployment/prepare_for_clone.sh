#!/bin/sh
# The old name of `visantctl prepare-clone`.
exec visantctl prepare-clone "$@"
