"""`visantctl remote`: remote access by Tailscale, set up and looked at."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from visantctl.errors import Misconfigured
from visantctl.host.env_file import read_env_file
from visantctl.host.place import Place
from visantctl.network import remote_access
from visantctl.network.host_name import host_name

HELP = "remote access by Tailscale: setup joins with a key (a file, or standard input), status says how it stands"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument("action", choices=("setup", "status"))
    parser.add_argument(
        "--key-file", metavar="F", help="file with the auth key; - is standard input. Needed for the first time only"
    )


def main(options: argparse.Namespace) -> int:
    """0 when the device is joined; the key is never printed."""
    if options.action == "status":
        return _status()
    if os.geteuid():
        raise Misconfigured("not root: sudo visantctl remote setup")
    device_id = read_env_file(Place.from_environment().env_file).get("DEVICE_ID", "")
    if not device_id:
        raise Misconfigured("DEVICE_ID is not set, and the name in the tailnet is made of it: visantctl configure")
    key = ""
    if options.key_file:
        try:
            key = Path("/dev/stdin" if options.key_file == "-" else options.key_file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(f"--key-file {options.key_file} cannot be read: {error}") from None
        key = remote_access.checked_key(key)
    remote_access.join(host_name(device_id), key)
    print(f"joined as {host_name(device_id)}; takes and offers no routes")
    return 0


def _status() -> int:
    if not remote_access.installed():
        print("tailscale is not installed")
        return 3
    state = remote_access.state()
    own = state.get("Self") or {}
    print(
        f"{state.get('BackendState', 'unknown')}: {own.get('HostName', '')} {' '.join(own.get('TailscaleIPs') or ())}"
    )
    return 0 if state.get("BackendState") == "Running" else 3
