# shellcheck shell=bash  # sourced by install_device.sh and uninstall.sh; needs bash
# Debian packages: what is put in, what interrupted runs left is mended, and what came with us goes again.

# Waits for another apt (a fresh Pi updates itself), finishes what a power cut interrupted, tries three times.
apt() {
    local attempt
    for attempt in 1 2 3; do
        if apt_once "$@"; then return 0; fi
        [ "$attempt" = 3 ] || {
            say "apt-get $1 failed, trying again in $((attempt * 5)) s"
            sleep $((attempt * 5))
            mend_packages
        }
    done
    return 1
}

apt_once() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
        -o Dpkg::Use-Pty=0 -o APT::Install-Recommends=false "$@" </dev/null
}

# A package that was unpacked or configured by half: finished where possible. Costs nothing where all is well.
mend_packages() {
    [ -n "$(dpkg --audit 2>/dev/null)" ] || apt_check_fails || return 0
    say "finishing what an interrupted installation of packages left"
    DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold --configure -a </dev/null || true
    if apt_check_fails; then apt_once --fix-broken install -y || true; fi
}

apt_check_fails() { ! apt-get -qq -o DPkg::Lock::Timeout=300 check >/dev/null 2>&1; }

# Lists that an interrupted update left half-read would miss packages: they are always read anew.
update_lists() { apt update || die "the package lists cannot be read: check the network, then run the same command again"; }

packages_now() { dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | awk '$1 != "un" && $1 != "rc" { print $2 }' | sort; }

# What was there before the first package of ours. It stays until the difference is noted, a power cut in between
# included, so that uninstall.sh takes back these packages alone.
install_packages() {
    mkdir -p "$MEMORY"
    [ -s "$MEMORY/packages-before" ] || { packages_now >"$MEMORY/packages-before.new" && mv "$MEMORY/packages-before.new" "$MEMORY/packages-before"; }
    sync "$MEMORY/packages-before"
    apt install -y "$@" || {
        note_new_packages
        die "packages did not install: is the network up? Run the same command again, it goes on where it stopped"
    }
    note_new_packages
    rm -f "$MEMORY/packages-before"
}

note_new_packages() {
    packages_now | comm -13 "$MEMORY/packages-before" - | while read -r name; do remember package "$name"; done
}

# remove_packages [KEPT...]: those that came with us, but for KEPT and what anything else here needs by now.
remove_packages() {
    local ours gone
    mapfile -t ours < <(remembered package | grep -vxF "$(printf '%s\n' "$@" '')" || true)
    [ ${#ours[@]} -gt 0 ] || return 0
    mapfile -t ours < <(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "${ours[@]}" 2>/dev/null | awk '$1 == "ii" { print $2 }')
    [ ${#ours[@]} -gt 0 ] || return 0
    apt-mark -qq auto "${ours[@]}" >/dev/null
    # Only what nobody asked for and nothing needs goes; of that, only ours.
    mapfile -t gone < <(LC_ALL=C apt-get -s -o APT::AutoRemove::RecommendsImportant=false -o APT::AutoRemove::SuggestsImportant=false \
        autoremove 2>/dev/null | awk '$1 == "Remv" { print $2 }' | sort -u | comm -12 - <(printf '%s\n' "${ours[@]}" | sort -u))
    [ ${#gone[@]} -gt 0 ] || return 0
    apt_once purge -y "${gone[@]}" || die "the packages were not removed: run the same command again"
}
