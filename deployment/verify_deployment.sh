#!/bin/sh
# The old name of `visantctl doctor`; --json and --fix go through.
exec visantctl doctor "$@"
