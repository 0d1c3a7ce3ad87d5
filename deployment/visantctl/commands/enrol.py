"""`visantctl enrol`: exchange a one-time code (visant-cloud enrol-code) for this device's own token."""

from __future__ import annotations

import argparse
import getpass
import sys

from visantctl.errors import Misconfigured
from visantctl.fleet import enrolment
from visantctl.host import env_file
from visantctl.host.env_file import read_env_file
from visantctl.host.place import Place
from visantctl.host.settings import Settings

HELP = "exchange a one-time code (visant-cloud enrol-code) for this device's own token"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument(
        "code", nargs="?", metavar="CODE",
        help="what `visant-cloud enrol-code` printed; - reads it from standard input, without it you are asked: "
        "arguments can be seen by every user of this host",
    )  # fmt: skip
    parser.add_argument("--replace", action="store_true", help="take over the id of a device that died")


def main(options: argparse.Namespace) -> int:
    """0 once the token is stored; it is never printed."""
    place = Place.from_environment()
    settings = Settings.load(place.env_file)
    api_url = env_file.checked("API_URL", read_env_file(place.env_file).get("API_URL", ""))
    code = options.code or ("-" if not sys.stdin.isatty() else getpass.getpass("Enrolment code: "))
    if code == "-":
        code = sys.stdin.readline(1000)
    code = code.strip()
    if not code:
        raise Misconfigured("no enrolment code was given: make one with visant-cloud enrol-code")
    place.prepare()
    if device_id := enrolment.used_here(place, code):
        env_file.write(place, {"DEVICE_ID": device_id})
        print(f"this code was used by this device already: it is {device_id}")
        return 0
    # Before the code is spent: a host that cannot store the token keeps its code.
    env_file.write(place, {})
    device_id, token = enrolment.exchange(settings, api_url, code, replace=options.replace)
    enrolment.remember(place, code, device_id, token)
    env_file.store_token(place, token)
    env_file.write(place, {"DEVICE_ID": device_id})
    print(f"enrolled as {device_id}; the token is in {place.root}/secrets/device_token")
    return 0
