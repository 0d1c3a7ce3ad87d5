# shellcheck shell=bash  # sourced by install_device.sh and uninstall.sh; needs bash
# What keeps the host going where nobody drives to: the hardware watchdog, a bounded journal, security updates.
# systemd reads drop-ins by name over all folders (man systemd-system.conf): 60 comes after Raspberry Pi OS's own 40-rpi.

WATCHDOG=${VISANT_WATCHDOG:-/sys/class/watchdog/watchdog0}
WATCHDOG_FILE=/etc/systemd/system.conf.d/60-visant-watchdog.conf
JOURNAL_FILE=/etc/systemd/journald.conf.d/60-visant-journal.conf
JOURNAL=/var/log/journal
UPDATES_FILE=/etc/apt/apt.conf.d/60visant-security-updates

has_watchdog() { [ -e "$WATCHDOG" ]; }

# Also where others set it: Raspberry Pi OS has one of a minute from trixie on (40-rpi-enable-watchdog.conf). `infinity`
# is the hardware's own time.
watchdog_is_on() {
    case "$(systemctl show --property=RuntimeWatchdogUSec --value 2>/dev/null)" in
    "" | 0 | 0s) return 1 ;;
    esac
}

plan_upkeep() {
    if has_watchdog && [ -z "$SKIP_WATCHDOG" ] && ! watchdog_is_on; then
        say "  - have the hardware watchdog restart this host when it hangs ($(watchdog_seconds) s; --skip-watchdog leaves it off)"
    fi
    say "  - keep the system's journal on the card, at most 128 MB"
    [ -z "$SECURITY_UPDATES" ] || say "  - install Debian's security updates every day (unattended-upgrades)"
}

# A minute: a busy card has held up systemd for longer than 15 s. The Pi's hardware counts 15 s at most; its driver feeds
# it in between from Linux 6.8 on, says so with a limit of 0, and refuses a longer time before, which leaves no watchdog
# at all (systemd issue 27427). 15 s is what every one takes.
watchdog_seconds() {
    local most
    most=$(cat "$WATCHDOG/max_timeout" 2>/dev/null) || most=15
    case "$most" in
    0) echo 60 ;;
    *[!0-9]* | "") echo 15 ;;
    *) echo $((most < 60 ? most : 60)) ;;
    esac
}

# write_owned FILE: standard input becomes the file; fails where it was that already.
write_owned() {
    local text
    text=$(cat)
    if [ -f "$1" ] && [ "$(cat "$1")" = "$text" ]; then return 1; fi
    remember folder "$(dirname "$1")"
    remember file "$1"
    mkdir -p "$(dirname "$1")"
    printf '%s\n' "$text" >"$1.new"
    sync "$1.new"
    mv "$1.new" "$1"
}

install_upkeep() {
    enable_watchdog
    bound_journal
    install_security_updates
}

enable_watchdog() {
    local now
    [ -z "$SKIP_WATCHDOG" ] || return 0
    has_watchdog || { ok "no hardware watchdog here"; return 0; }
    if [ -f "$WATCHDOG_FILE" ] || ! watchdog_is_on; then
        if write_owned "$WATCHDOG_FILE" <<CONF
# Written by install_device.sh, taken away by uninstall.sh. A system that hangs is restarted by the hardware.
[Manager]
RuntimeWatchdogSec=$(watchdog_seconds)
CONF
        then systemctl daemon-reload; fi
    fi
    now=$(systemctl show --property=RuntimeWatchdogUSec --value 2>/dev/null)
    if watchdog_is_on; then ok "hardware watchdog: a hung system restarts after $now"; else
        warn "the hardware watchdog did not start: journalctl -b -g watchdog"
    fi
}

# Raspberry Pi OS keeps the journal in memory from trixie on (40-rpi-volatile-storage.conf): what led to a power cut or
# a hang would be gone with it. Without a bound it takes a tenth of the card.
bound_journal() {
    remember folder "$JOURNAL"
    if write_owned "$JOURNAL_FILE" <<'CONF'
# Written by install_device.sh, taken away by uninstall.sh.
[Journal]
Storage=persistent
SystemMaxUse=128M
SystemMaxFileSize=16M
RuntimeMaxUse=16M
# Below an emergency, lines are synced in slices: a power cut may take those of the last five minutes.
SyncIntervalSec=5min
CONF
    then
        systemctl restart systemd-journald.service
        journalctl --flush 2>/dev/null || true
    fi
    ok "the journal is on the card, at most 128 MB"
}

install_security_updates() {
    [ -n "$SECURITY_UPDATES" ] || return 0
    (
        mend_packages
        apt-cache show unattended-upgrades >/dev/null 2>&1 || update_lists
        install_packages unattended-upgrades
    ) || {
        warn "no security updates by themselves: unattended-upgrades was not installed. Later: the same command again"
        return 0
    }
    write_owned "$UPDATES_FILE" <<'CONF' || true
// Written by install_device.sh --security-updates, taken away by uninstall.sh.
APT::Periodic::Enable "1";
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
APT::Periodic::AutocleanInterval "7";
// Debian's security archive and nothing else: fewer changes, fewer writes.
#clear Unattended-Upgrade::Origins-Pattern;
Unattended-Upgrade::Origins-Pattern { "origin=Debian,codename=${distro_codename}-security,label=Debian-Security"; };
// A device restarts when a person says so; the doctor names a restart that is due.
Unattended-Upgrade::Automatic-Reboot "false";
CONF
    systemctl enable --quiet --now apt-daily.timer apt-daily-upgrade.timer
    ok "Debian's security updates are installed every day"
}

# Before the units go: what was changed is in force again after their daemon-reload. Lines of before stay until a restart.
remove_upkeep() {
    local file
    if remembered file | grep -qxF "$JOURNAL_FILE"; then
        rm -f "$JOURNAL_FILE"
        if remembered folder | grep -qxF "$JOURNAL"; then
            journalctl --relinquish-var >/dev/null 2>&1 || true
            rm -rf "$JOURNAL"
        fi
        systemctl restart systemd-journald.service 2>/dev/null || true
    fi
    # The last is not left to remove_files, which keeps what is in /etc/apt with --keep-docker.
    for file in "$WATCHDOG_FILE" "$UPDATES_FILE"; do
        if remembered file | grep -qxF "$file"; then rm -f "$file"; fi
    done
    rm -f "$WATCHDOG_FILE.new" "$JOURNAL_FILE.new" "$UPDATES_FILE.new" # of a run that was cut short
}
