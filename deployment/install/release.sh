# shellcheck shell=bash  # sourced by install_device.sh; needs bash
# Settings, token, release, units: what makes a host with Docker into this device.

release_installed() { [ -f "$ROOT/current/release.json" ] && [ -f "$ROOT/state/good.json" ]; }

check_release() {
    local from
    from=$(setting UPDATE_URL "$UPDATE_URL")
    if release_installed || [ -n "$ARCHIVE" ] || [ -n "$from" ]; then
        ok "release: ${ARCHIVE:-${from:-the one that is installed}}"
    else
        bad "no release to install: give --from RELEASE.TAR, or --update-url URL"
    fi
    [ -s "$ROOT/allowed_signers" ] || [ -s "${SIGNERS:-$HERE/allowed_signers}" ] ||
        bad "no key to check releases with: give --allowed-signers F"
}

write_settings() {
    local values=() video_group
    [ -z "$DEVICE_ID" ] || values+=("DEVICE_ID=$DEVICE_ID")
    [ -z "$API_URL" ] || values+=("API_URL=$API_URL")
    [ -z "$CAMERA" ] || values+=("CAMERA_SOURCE=$CAMERA")
    [ -z "$PROXY" ] || values+=("HTTPS_PROXY=$PROXY")
    [ -z "$CA_FILE" ] || values+=("SSL_CERT_FILE=/run/secrets/ca.pem")
    [ -z "$UPDATE_URL" ] || values+=("UPDATE_URL=$UPDATE_URL")
    [ -z "$CHANNEL" ] || values+=("UPDATE_CHANNEL=$CHANNEL")
    # Of this host, and also missing where a person wrote the file.
    if [ -z "$(value_in VIDEO_GID "$ROOT/.env.device")" ]; then
        video_group=$(getent group video | cut -d: -f3)
        values+=("VIDEO_GID=${video_group:-44}")
    fi
    [ -n "$(value_in VISANT_DEBUG_CAPTURES "$ROOT/.env.device")" ] || values+=("VISANT_DEBUG_CAPTURES=$ROOT/debug_captures")
    install -d -m 755 "$ROOT"
    # An old service that still runs writes there as its own user.
    taking_over || install -d -m 750 -o 10001 -g 10001 "$ROOT/debug_captures"
    install -d -m 750 -o 0 -g 10001 "$ROOT/secrets"
    store_ca
    ctl configure "${values[@]}"
    [ -z "$TOKEN_FILE" ] || ctl configure --token-file - <<<"$SECRET"
    if [ -n "$SIGNERS" ] || [ ! -s "$ROOT/allowed_signers" ]; then
        install -m 644 "${SIGNERS:-$HERE/allowed_signers}" "$ROOT/allowed_signers"
    fi
}

enrol() {
    [ -n "$ENROL_FILE" ] || return 0
    ctl enrol - ${REPLACE:+--replace} <<<"$SECRET"
}

install_release() {
    if [ -z "$ARCHIVE" ] && release_installed; then return 0; fi
    # There is nothing to go back to at a first installation, so it is watched for a short time.
    if release_installed; then ctl update --now ${ARCHIVE:+--from "$ARCHIVE"}; else
        UPDATE_SOAK=${UPDATE_SOAK:-5} ctl update --now ${ARCHIVE:+--from "$ARCHIVE"} ||
            die "the release was not installed (the reason is above): run the same command again when that is solved"
    fi
}

install_units() {
    ctl units
    local beside=(visant-update.timer visant-clock.timer)
    # A release from before may be installed here: it has no such unit.
    [ ! -f "$UNITS/visant-update-request.path" ] || beside+=(visant-update-request.path)
    systemctl enable --quiet visant-device-v2.service "${beside[@]}"
    systemctl start "${beside[@]}"
    # Picks up an edited .env.device; a service that runs with it already is left alone by Compose.
    systemctl restart visant-device-v2.service || die "the service did not start: journalctl -u visant-device-v2 -n 50"
}

install_addwifi() {
    local user home
    [ -z "$SKIP_WIFI" ] && [ -f "$ROOT/current/deployment/addwifi.sh" ] || return 0
    user=${SUDO_USER:-root}
    home=$(getent passwd "$user" | cut -d: -f6)
    [ -d "$home" ] || return 0
    remember file "$home/addwifi.sh"
    ln -sfn "$ROOT/current/deployment/addwifi.sh" "$home/addwifi.sh"
}
