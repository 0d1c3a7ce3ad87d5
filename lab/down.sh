#!/usr/bin/env bash
# Ends what `make lab` started, by process id: the registry, then the Engine. Images and archives stay.
# An Engine that was running before `make lab` is not ours and stays too.
# shellcheck source=lab/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$(dirname "${BASH_SOURCE[0]}")/registry.sh" stop
if pid=$(pid_of_ours dockerd); then
    kill "$pid"
    for _ in $(seq 300); do
        pid_of_ours dockerd >/dev/null || break
        sleep 0.1
    done
    pid_of_ours dockerd >/dev/null && die "dockerd (pid $pid) has not ended within 30 s: look at $LAB_STATE/dockerd.log"
    rm -f "$LAB_STATE/dockerd.pid"
    say "dockerd ended"
else
    say "no dockerd of ours runs"
fi
