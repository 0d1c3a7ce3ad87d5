# shellcheck shell=bash  # sourced by install_device.sh; needs bash
# Docker Engine and Compose from Debian's packages. bookworm's own are too old (no `up --wait`): there trixie's
# serve, from a source of our own that is pinned so low that nothing else of the host comes from it.

MIN_ENGINE=24
MIN_COMPOSE=2.20
APT_SOURCE=/etc/apt/sources.list.d/visant-docker.list
APT_PIN=/etc/apt/preferences.d/visant-docker
PLUGINS=/usr/local/lib/docker/cli-plugins

# at_least FOUND WANTED: compares dotted numbers; letters and what follows + or - do not count.
at_least() {
    local found=${1#v}
    found=${found%%[-+~]*}
    [ -n "$found" ] && [ "$(printf '%s\n%s\n' "$2" "$found" | sort -V | head -n 1)" = "$2" ]
}

engine_is_new_enough() { at_least "$(docker version --format '{{.Server.Version}}' 2>/dev/null)" "$MIN_ENGINE"; }
compose_is_new_enough() { at_least "$(docker compose version --short 2>/dev/null)" "$MIN_COMPOSE"; }

# The Debian archive that this host uses already: a site's own mirror stays in use. Asks what an update would read:
# a fresh card has no lists yet.
debian_archive() {
    apt-get update --print-uris 2>/dev/null | sed -n "s#^'\([^']*/debian\)/dists/.*#\1#p" |
        sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }'
}

add_trixie() {
    local archive
    archive=$(debian_archive)
    [ -n "$archive" ] || die "no Debian archive among this host's package sources: add one to /etc/apt/sources.list"
    remember file "$APT_SOURCE"
    remember file "$APT_PIN"
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s trixie main\n' "$archive" >"$APT_SOURCE"
    printf 'Package: *\nPin: release n=trixie\nPin-Priority: 100\n' >"$APT_PIN"
}

# One reading of the package lists for everything: on a slow card it takes longer than the packages.
install_what_is_missing() {
    local wanted=() name
    for name in v4l-utils openssh-client ca-certificates qrencode; do
        dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null | grep -q '^ii' || wanted+=("$name")
    done
    if engine_is_new_enough && compose_is_new_enough; then
        [ ${#wanted[@]} = 0 ] || { mend_packages && update_lists && install_packages "${wanted[@]}"; }
    else
        mend_packages
        install_engine "${wanted[@]}"
    fi
    ok "Docker $(docker version --format '{{.Server.Version}}'), Compose $(docker compose version --short)"
}

# install_engine [OTHER-PACKAGE...]
install_engine() {
    local from=""
    if [ "$CODENAME" = bookworm ]; then
        add_trixie
        from=/trixie
    fi
    update_lists
    command -v dockerd >/dev/null || remember engine installed
    # containerd makes these and no package owns them.
    remember folder /etc/cni
    remember folder /etc/cni/net.d
    # Before Docker's first start, so that its bridge never takes the site's addresses.
    ensure_address_pools
    # Debian 12's own runc: trixie's wants a newer libc, and this one serves.
    install_packages "docker.io$from" "docker-cli$from" "containerd$from" iptables "$@"
    compose_is_new_enough || ensure_compose "$from"
    systemctl enable --now docker.service containerd.service >/dev/null 2>&1 || true
    engine_is_new_enough || die "Docker was installed and does not answer: systemctl status docker"
}

# On bookworm only the plugin's program is taken: its package would pull a newer libc.
ensure_compose() {
    local from=$1 work
    if [ -z "$from" ]; then
        install_packages docker-compose
        return
    fi
    work=$(mktemp -d)
    chmod 755 "$work"
    (cd "$work" && apt -o APT::Sandbox::User=root download docker-compose/trixie) ||
        die "Docker Compose cannot be downloaded: run the same command again"
    dpkg-deb -x "$work"/docker-compose_*.deb "$work/unpacked"
    mkdir -p "$PLUGINS"
    remember file "$PLUGINS/docker-compose"
    install -m 755 "$(find "$work/unpacked" -path '*/cli-plugins/docker-compose' -type f)" "$PLUGINS/docker-compose"
    rm -rf "$work"
}

ensure_address_pools() {
    local file=/etc/docker/daemon.json
    if ctl address-pools >/dev/null; then return 0; fi
    if [ -f "$file" ]; then
        [ -e "$MEMORY/daemon.json.before" ] || cp -p "$file" "$MEMORY/daemon.json.before"
    else
        remember file "$file"
    fi
    ctl address-pools --write
    systemctl is-active --quiet docker.service || return 0
    # Networks keep the addresses they were made with: those of the device are made again at its next start.
    # (A service of the git-based version has the same name, no networks, and pictures to take.)
    if [ -f "$ROOT/current/release.json" ]; then systemctl stop visant-device-v2.service; fi
    systemctl restart docker.service
    docker ps --all --quiet --filter "label=com.docker.compose.project=${VISANT_PROJECT:-visant}" | xargs -r docker rm --force >/dev/null
    docker network ls --quiet --filter "label=com.docker.compose.project=${VISANT_PROJECT:-visant}" | xargs -r docker network rm >/dev/null
}
