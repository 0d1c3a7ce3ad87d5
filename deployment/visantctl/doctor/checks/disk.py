"""Space on the card: bytes and inodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.host.readings import Space, space
from visantctl.wiring import Device

ORDER = 100
_LOW, _EMPTY = 2_000_000_000, 600_000_000
"""Free bytes below which it is worth a line, and below which pictures are refused (SPOOL_MIN_FREE_BYTES and a bit)."""
_FEW = 0.05
"""Of all inodes."""


def check(device: Device) -> Iterator[Finding]:
    """Of what holds the device and what holds the Engine's data."""
    spaces = {path: space(path) for path in (device.place.root, Path("/var/lib"))}
    yield from findings({path: found for path, found in spaces.items() if found is not None})


def findings(spaces: Mapping[Path, Space]) -> Iterator[Finding]:
    """Bytes and inodes, of the fullest."""
    free = min(one.free_bytes for one in spaces.values())
    text, remedy = f"{free / 1e9:.1f} GB free", "sudo journalctl --vacuum-size=100M; sudo apt-get clean"
    if free < _EMPTY:
        yield fail("disk", f"{text}: pictures are refused", remedy)
    elif free < _LOW:
        yield warn("disk", text, remedy)
    else:
        yield good("disk", text)
    for path, one in spaces.items():
        if one.total_files and one.free_files < one.total_files * _FEW:
            yield warn(
                "disk", f"{path}: only {one.free_files} more files fit", "which folder holds so many? du --inodes -d2 /"
            )
