"""`visantctl logs`: the services' logs."""

from __future__ import annotations

import argparse
import os
import re

from visantctl.errors import Problem
from visantctl.host.units import DEVICE
from visantctl.wiring import Device

HELP = "the services' logs"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on with new lines")
    parser.add_argument("-n", "--lines", default="200", metavar="N", help="how many old lines a service (default 200)")
    parser.add_argument(
        "services", nargs="*", metavar="SERVICE", help="camera, connector, uploader, redis; default all"
    )


def main(options: argparse.Namespace) -> int:
    """Becomes `docker compose logs`; without root journalctl, whose lines the groups adm and systemd-journal may
    read."""
    if options.lines != "all" and not options.lines.isdigit():
        raise Problem(f"--lines {options.lines!r} must be a number or all")
    if os.geteuid() != 0:
        words = journal(options.lines, options.services, follow=options.follow)
        os.execvp(words[0], words)
    device = Device.here()
    version = device.place.linked_version(device.place.current)
    if version is None:
        raise Problem("no release is installed here")
    stack = device.stack(version)
    follow = ["--follow"] if options.follow else []
    words = ["docker", *stack.arguments, "logs", "--tail", options.lines, *follow, *options.services]
    os.execvpe("docker", words, device.engine.environment(stack.environment))


def journal(lines: str, services: list[str], *, follow: bool) -> list[str]:
    """The command; a service's lines begin with its name there."""
    words = ["journalctl", f"--unit={DEVICE}", f"--lines={lines}", "--output=cat"]
    words += ["--follow"] if follow else []
    return words + ([f"--grep=^({'|'.join(map(re.escape, services))})-"] if services else [])
