"""`visantctl logs`: the services' logs."""

from __future__ import annotations

import argparse
import os

from visantctl.errors import Problem
from visantctl.host import durable
from visantctl.host.place import Place
from visantctl.host.units import DEVICE
from visantctl.wiring import Device

HELP = "the services' logs"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on with new lines")
    parser.add_argument("-n", "--lines", default="500", metavar="N", help="how many old lines, or all (default 500)")
    parser.add_argument(
        "services", nargs="*", metavar="SERVICE", help="camera, connector, uploader, redis; default all"
    )


def main(options: argparse.Namespace) -> int:
    """Becomes journalctl, whose lines the groups adm and systemd-journal may read; `docker compose logs` where the
    services' lines are not in the journal.
    """
    if options.lines != "all" and not options.lines.isdigit():
        raise Problem(f"--lines {options.lines!r} must be a number or all")
    place = Place.from_environment()
    version = place.linked_version(place.current)
    if version is None:
        raise Problem("no release is installed here")
    _known(place, version, options.services)
    follow = ["--follow"] if options.follow else []
    if os.geteuid() == 0:
        device = Device.here()
        stack = device.stack(version)
        if not stack.logs_to_journal:
            words = ["docker", *stack.arguments, "logs", "--tail", options.lines, *follow, *options.services]
            os.execvpe("docker", words, device.engine.environment(stack.environment))
    words = ["journalctl", f"--unit={DEVICE}", f"--lines={options.lines}", "--no-hostname", "--no-pager", *follow]
    os.execvp("journalctl", [*words, *(f"--identifier={service}" for service in options.services)])


def _known(place: Place, version: str, services: list[str]) -> None:
    """Problem for a service that the release does not have: journalctl would show nothing, and no reason."""
    manifest = durable.read_json(place.release(version) / "release.json")
    there = manifest.get("images") if isinstance(manifest, dict) else None
    for service in services:
        if isinstance(there, dict) and service not in there:
            raise Problem(f"{service} is no service of {version}: {', '.join(sorted(there))}")
