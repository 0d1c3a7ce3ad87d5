"""`visantctl configure`: sets values in .env.device and keeps its comments."""

from __future__ import annotations

import argparse
from pathlib import Path

from visantctl.errors import Misconfigured
from visantctl.host import env_file
from visantctl.host.place import Place

HELP = "set values in .env.device, keeping its comments; they take effect at the next restart of the service"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument("values", nargs="*", metavar="KEY=VALUE", help="for example CAMERA_SOURCE=0")
    parser.add_argument("--token-file", type=Path, metavar="F", help="file that holds the device's token; - is stdin")


def main(options: argparse.Namespace) -> int:
    """0; the token is never printed."""
    place = Place.from_environment()
    values: dict[str, str] = {}
    for word in options.values:
        key, sign, value = word.partition("=")
        if not sign:
            raise Misconfigured(f"{word!r} must be KEY=VALUE")
        values[key] = value
    changed = env_file.write(place, values, env_file.EXAMPLE)
    print(f"{place.env_file}: " + (f"{', '.join(changed)} set" if changed else "nothing to change"))
    if options.token_file:
        try:
            token = Path("/dev/stdin" if str(options.token_file) == "-" else options.token_file).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(f"--token-file {options.token_file} cannot be read: {error}") from None
        env_file.store_token(place, token)
        print(f"the token is in {place.root}/secrets/device_token")
    return 0
