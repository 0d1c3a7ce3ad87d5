# shellcheck shell=bash  # sourced by install_device.sh; needs bash
# Sites with a proxy, with authorities of their own, or without NTP: settled before anything is fetched.

# The CA file goes where the services see it as /run/secrets/ca.pem.
store_ca() {
    [ -n "$CA_FILE" ] || return 0
    install -m 640 -o 0 -g 10001 "$CA_FILE" "$ROOT/secrets/ca.pem"
}

use_uplink() {
    local proxy
    ctl uplink
    proxy=$(setting HTTPS_PROXY "")
    if [ -n "$proxy" ]; then
        # For apt; the Engine, the services and visantctl have their own ways.
        export http_proxy="$proxy" https_proxy="$proxy"
        no_proxy=$(setting NO_PROXY "")
        export no_proxy
    fi
    ctl clock || clock_is_plausible ||
        die "the clock says $(date +%F), and nothing can be downloaded safely: sudo date -s 'YYYY-MM-DD HH:MM'"
}

clock_is_plausible() { [ "$(date +%Y)" -ge 2026 ]; }
