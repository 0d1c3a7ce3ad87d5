"""`visantctl clock`: set the clock by the cloud's answers where NTP does not (what visant-clock.timer runs)."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from visantctl.errors import Misconfigured
from visantctl.host import durable, env_file
from visantctl.host.env_file import read_env_file
from visantctl.host.place import Place
from visantctl.host.settings import Settings
from visantctl.network import clock

HELP = "set the clock by the cloud's answers where NTP does not (what visant-clock.timer runs)"
_FIRST = "2026-01-01T00:00:00Z"
"""Before any release was made: for a host that has none yet."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument("--url", metavar="URL", help="ask this address; default: API_URL of .env.device")


def main(options: argparse.Namespace) -> int:
    """0: synchronised, right, or set. 3: no answer. 1: not believed, nothing changed."""
    if clock.synchronised():
        print("synchronised by NTP")
        return 0
    place = Place.from_environment()
    url = options.url or read_env_file(place.env_file).get("API_URL", "")
    if not url:
        raise Misconfigured(f"API_URL is not set: edit {place.env_file}, or give --url")
    url = env_file.checked("API_URL", url)
    settings = Settings.load(place.env_file)
    print(clock.correct(url, settings.proxies, made_at(place)), flush=True)
    return 0


def made_at(place: Place) -> datetime:
    """When the release in use was made; its manifest is signed."""
    value = durable.read_json(place.current / "release.json")
    text = value.get("created_at") if isinstance(value, dict) else None
    try:
        date = datetime.fromisoformat(str(text))
    except ValueError:
        date = datetime.fromisoformat(_FIRST)
    return date if date.tzinfo else date.replace(tzinfo=UTC)
