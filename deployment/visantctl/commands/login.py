"""`visantctl login`: store credentials of a private registry (the password comes from standard input or a prompt)."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from visantctl.wiring import Device

HELP = "store credentials of a private registry (the password comes from standard input or a prompt)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument("registry", help="host name, with :port where it needs one")
    parser.add_argument("--username", required=True)


def main(options: argparse.Namespace) -> int:
    """They are kept in /opt/visant/registry, readable by root alone, and survive releases."""
    device = Device.here()
    folder = device.place.registry_login
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.umask(0o077)
    stdin = [] if sys.stdin.isatty() else ["--password-stdin"]
    words = ["docker", "--config", str(folder), "login", options.registry, "--username", options.username, *stdin]
    return subprocess.run(words, check=False).returncode
