#!/bin/sh
# Copies a few programs, and the libraries and Perl modules they load, to the folder $1.
set -eu
out=$1
mkdir -p "$out/bin"
for program in sh sleep redis-server redis-cli perl; do
    path=$(command -v "$program")
    cp -L "$path" "$out/bin/"
    ldd "$path" | tr -s ' \t' '\n' | grep '^/' | sort -u | xargs -r cp -L --parents -t "$out"
done
perl -MSocket -e 'print join("\n", values(%INC), @DynaLoader::dl_shared_objects), "\n"' |
    while read -r file; do
        [ ! -f "$file" ] || cp -L --parents "$file" "$out"
    done
