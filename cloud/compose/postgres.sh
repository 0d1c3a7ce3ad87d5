#!/bin/sh
# Starts PostgreSQL for the cloud alone: no network, no password, a socket in a volume that nobody else mounts.
#
# Not the image's own start: it leaves half a database behind where it is killed at its first start.
set -eu

PATH=$PATH:/usr/lib/postgresql/17/bin
DATA=/var/lib/postgresql/data/17
DRAFT=$DATA.new

if [ ! -s "$DATA/PG_VERSION" ]; then
    rm -rf "$DRAFT"
    initdb --pgdata "$DRAFT" --username visant --auth-local trust --auth-host reject --encoding UTF8 \
        --locale-provider builtin --builtin-locale C.UTF-8 --locale C --data-checksums
    echo 'CREATE DATABASE visant' | postgres --single -D "$DRAFT" postgres
    mv "$DRAFT" "$DATA"
fi

exec postgres -D "$DATA" \
    -c listen_addresses= \
    -c unix_socket_directories=/run/postgresql \
    -c shared_buffers="${POSTGRES_SHARED_BUFFERS:-256MB}" \
    -c max_connections=100 \
    -c jit=off
