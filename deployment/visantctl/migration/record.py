"""What is known of a migration, on the medium, and copies of all that it changes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from visantctl.host import durable
from visantctl.host.log import now
from visantctl.host.place import Place
from visantctl.migration.old_units import OldUnit

Phase = Literal["prepared", "taking_over", "done", "back"]


@dataclass(frozen=True)
class Record:
    """`state/take_over.json`; the copies lie in `state/take_over/`."""

    units: tuple[OldUnit, ...]
    phase: Phase = "prepared"
    version: str = ""
    """The release that takes over; known from `taking_over` on."""
    reason: str = ""
    at: str = ""

    @property
    def open(self) -> bool:
        """Neither done nor back yet."""
        return self.phase in ("prepared", "taking_over")

    def advance(self, place: Place, phase: Phase, *, version: str = "", reason: str = "") -> Record:
        """The same in another phase, durable when this returns."""
        moved = replace(self, phase=phase, version=version or self.version, reason=reason, at=now())
        durable.write_json(place.state / "take_over.json", asdict(moved))
        return moved


def read(place: Place) -> Record | None:
    """The record, if there ever was a migration here."""
    value = durable.read_json(place.state / "take_over.json")
    if not isinstance(value, dict):
        return None
    try:
        return Record(**{**value, "units": tuple(OldUnit(**one) for one in value["units"])})
    except (TypeError, KeyError):  # damaged: as good as none, the units themselves say what they are
        return None


def copies(place: Place) -> Path:
    """Folder of the copies."""
    return place.state / "take_over"


def keep(place: Place, units: Sequence[OldUnit], captures: Path) -> Record:
    """Copy unit files, their drop-ins and the settings, whole or not at all; note who owns `captures`, where saved
    frames go.
    """
    final = copies(place)
    staged = final.with_name(".take_over.new")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True, mode=0o700)
    for unit in units:
        shutil.copy2(place.units / unit.name, staged / unit.name)
        if (place.units / f"{unit.name}.d").is_dir():
            shutil.copytree(place.units / f"{unit.name}.d", staged / f"{unit.name}.d")
    if place.env_file.is_file():
        shutil.copy2(place.env_file, staged / "env.device")
    owners = {
        "env": _owner(place.env_file) if place.env_file.is_file() else None,
        "captures": [str(captures), _owner(captures)] if captures.is_dir() else None,
    }
    durable.write_json(staged / "owners.json", owners)
    durable.publish_directory(staged, final)
    return Record(tuple(units)).advance(place, "prepared")


def _owner(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_uid, found.st_gid, found.st_mode & 0o7777]
