#!/usr/bin/env bash
# .ci/run, or some of its suites, on a fresh Debian 12 machine: a container of this machine's Engine, with an Engine of
# its own inside. What CI does (.github/workflows/ci.yml), and how a suite that needs Debian runs on another system.
# It takes the last commit, not the work tree, and leaves nothing but two images.
#
#   lab/fresh_debian.sh [SUITE...]          lab/fresh_debian.sh lab smoke-containers
# shellcheck source=lab/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."

engine_answers || die "no Docker Engine answers: start it, or run 'make lab' on a Debian machine that has none"
pinned=$(sed -n 's/^FROM \(debian:[^ ]*\) AS pinned$/\1/p' lab/debian/Dockerfile)
base=()
if ! docker image inspect "$pinned" >/dev/null 2>&1 && ! timeout 60 docker pull -q "$pinned" >/dev/null 2>&1; then
    LAB_SUITE=bookworm lab/bases.sh debian
    base=(--build-arg DEBIAN_IMAGE=visant-lab/debian:bookworm)
fi
docker build -q --tag visant-lab/fresh-debian "${base[@]}" lab/debian >/dev/null

tree=$(mktemp -d)
name=visant-fresh-debian-$$
trap 'docker rm --force --volumes "$name" >/dev/null 2>&1; rm -rf "$tree"' EXIT
trap 'exit 130' INT TERM
# The whole history: the update suite builds the release before from its commit.
git clone -q --bare . "$tree/git"
# As --privileged, on machines too that lack a capability. /dev, for loop devices; the machine's own tree of control
# groups, since an Engine cannot limit memory below a group that holds processes.
# Not below /root: PostgreSQL runs as another user and must get through.
docker run --rm --init --name "$name" \
    --cap-add ALL --security-opt seccomp=unconfined --security-opt systempaths=unconfined \
    --security-opt apparmor=unconfined --device-cgroup-rule 'a *:* rwm' --cgroupns host \
    --volume /sys/fs/cgroup:/sys/fs/cgroup:rw --volume /dev:/dev --volume /var/lib/docker \
    --volume "$tree/git:/git:ro" --env CI="${CI:-true}" visant-lab/fresh-debian \
    bash -c 'git clone -q /git /srv/visant-edge && cd /srv/visant-edge && exec bash .ci/run "$@"' - "$@" &
wait $!
