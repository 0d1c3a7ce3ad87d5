# shellcheck shell=bash  # sourced by install_device.sh; needs bash
# A host that runs the git-based version: visant-device.service (polling) or visant-device-v2.service out of a venv.
# What is done to it, and undone, is visantctl's (visantctl/migration/): it goes on after a power cut.

old_services() { # FLAG...: what visantctl says of them; nothing on a host that has none
    local name
    for name in visant-device.service visant-device-v2.service; do
        if [ -f "$UNITS/$name" ] && ! grep -q '/usr/local/bin/visantctl' "$UNITS/$name"; then
            ctl take-over "$@"
            return
        fi
    done
}

plan_migration() {
    local names
    names=$(old_services --names)
    [ -z "$names" ] || say "  - take over from $names: its settings are kept; it is stopped when the new images are here, and comes back if there is no stream within $(value_in MIGRATION_PATIENCE "$ROOT/.env.device" | grep . || echo 600) s"
}

prepare_migration() { old_services --prepare; }

# Whether a migration was begun and is neither done nor back yet.
migration_is_open() { [ -f "$ROOT/state/take_over.json" ] && ctl take-over --open; }

migrate() {
    # Begun already, then its unit is at work: nothing may be fetched beside it.
    grep -q '"phase": "taking_over"' "$ROOT/state/take_over.json" || ctl update --fetch-only ${ARCHIVE:+--from "$ARCHIVE"} ||
        die "the release could not be had (the reason is above); the old service was not touched: run the same command again when that is solved"
    ctl take-over --start || die "the old service runs again, as before: the reason is above; $ROOT/.env.device is the old one"
}
