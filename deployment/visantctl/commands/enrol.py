"""visantctl enrol."""

from __future__ import annotations

import argparse

from visantctl import device_settings, enrolment
from visantctl.place import Place
from visantctl.settings import Settings, read_env_file

HELP = "exchange a one-time code (visant-cloud enrol-code) for this device's own token"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument("code", metavar="CODE", help="what `visant-cloud enrol-code` printed")
    parser.add_argument("--replace", action="store_true", help="take over the id of a device that died")


def main(options: argparse.Namespace) -> int:
    """0 once the token is stored; it is never printed."""
    place = Place.from_environment()
    settings = Settings.load(place.env_file)
    api_url = device_settings.checked("API_URL", read_env_file(place.env_file).get("API_URL", ""))
    # Before the code is spent: a host that cannot store the token keeps its code.
    device_settings.write(place, {})
    device_id, token = enrolment.exchange(settings, api_url, options.code, replace=options.replace)
    device_settings.store_token(place, token)
    device_settings.write(place, {"DEVICE_ID": device_id})
    print(f"enrolled as {device_id}; the token is in {place.root}/secrets/device_token")
    return 0
