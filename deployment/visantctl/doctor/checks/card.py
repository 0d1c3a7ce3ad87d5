"""The card itself: errors that the file system has counted, and wear where the hardware tells it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.host.readings import FileSystem, Life, card_lives, file_systems, root_is_read_only
from visantctl.wiring import Device

ORDER = 110
_REPLACE = "copy what you need and replace the card before it fails"


def check(device: Device) -> Iterator[Finding]:
    """Both."""
    yield from errors(file_systems(), read_only=bool(root_is_read_only()))
    yield from wear(card_lives())


def errors(systems: Iterable[FileSystem], *, read_only: bool) -> Iterator[Finding]:
    """What the kernel counted since the file system was made, and a root that it no longer writes to."""
    if read_only:
        yield fail("card", "the root file system is read-only: the kernel met an error", f"sudo dmesg; {_REPLACE}")
    for one in systems:
        size = "" if one.written_bytes is None else f", {one.written_bytes / 1e9:.0f} GB written to it so far"
        if one.errors:
            yield warn("card", f"{one.name}: {one.errors} errors in the file system{size}", _REPLACE)
        else:
            yield good("card", f"{one.name}: no errors{size}")


def wear(lives: Iterable[Life]) -> Iterator[Finding]:
    """Nothing where the card does not say."""
    for one in lives:
        if one.used >= 9 or one.pre_eol >= 2:
            told = f"has used {(one.used - 1) * 10} to {one.used * 10} % of its life"
            yield warn("card", f"{one.name} {told if one.used else 'has few spare blocks left'}", _REPLACE)
        elif one.used:
            yield good("card", f"{one.name} has used at most {one.used * 10} % of its life")
