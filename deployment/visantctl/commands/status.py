"""`visantctl status`: what should run, what runs, and how the last update went."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from typing import Any

from visantctl.errors import Problem
from visantctl.host import durable
from visantctl.host.engine import Engine
from visantctl.host.place import Place
from visantctl.host.programs import ask
from visantctl.host.settings import Settings
from visantctl.host.units import DEVICE
from visantctl.releases.stack import containers
from visantctl.service.status import as_text, status
from visantctl.wiring import Device

HELP = "what should run, what runs, and how the last update went"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument("--json", action="store_true", help="for programs")


def main(options: argparse.Namespace) -> int:
    """0 when all is well, starting, or being updated; 1 otherwise."""
    if os.geteuid() != 0:
        return _without_root(options)
    value = status(Device.here())
    print(json.dumps(value, indent=2, sort_keys=True) if options.json else as_text(value))
    return 0 if value["state"] in ("ok", "starting", "updating") else 1


def _without_root(options: argparse.Namespace) -> int:
    """What everybody on this host may read; the services as well for members of the group docker."""
    place = Place.from_environment()
    value: dict[str, Any] = {
        "unit": ask("systemctl", "is-active", DEVICE) or "unknown",
        "version": place.linked_version(place.current),
        "previous": place.linked_version(place.previous),
        "last": durable.read_json(place.shared / "update.json"),
    }
    with contextlib.suppress(Problem):
        found = containers(Engine(), Settings.project)
        value["services"] = {one.service: f"{one.status}, {one.health}, {one.restarts} restarts" for one in found}
    if options.json:
        print(json.dumps(value, indent=2, sort_keys=True))
    else:
        print(f"{DEVICE} is {value['unit']}")
        print(f"version    {value['version'] or '-'}   previous {value['previous'] or '-'}")
        if last := value["last"]:
            print("last       " + " ".join(str(last[key]) for key in ("at", "result", "reason") if last.get(key)))
        for name, said in value.get("services", {}).items():
            print(f"{name:<10} {said}")
        print("more       sudo visantctl status")
    return 0 if value["unit"] == "active" else 1
