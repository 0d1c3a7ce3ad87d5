# shellcheck shell=bash  # sourced by install_device.sh and uninstall.sh; needs bash
# What the installer added to this host, one `KIND NAME` a line, so that uninstall.sh takes back exactly that.
# Written before the thing itself is made: an installation that was cut short is taken back as well.

MEMORY="$ROOT/state/install"

remember() {
    mkdir -p "$MEMORY"
    grep -qxF "$1 $2" "$MEMORY/added" 2>/dev/null && return 0
    # What was there before us is not ours to remove.
    if { [ "$1" = file ] || [ "$1" = folder ]; } && [ -e "$2" ]; then return 0; fi
    printf '%s %s\n' "$1" "$2" >>"$MEMORY/added"
    sync "$MEMORY/added"
}

remembered() { # KIND: the names, newest first
    [ -f "$MEMORY/added" ] || return 0
    tac "$MEMORY/added" | sed -n "s/^$1 //p"
}
