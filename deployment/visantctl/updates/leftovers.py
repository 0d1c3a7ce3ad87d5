"""Releases on this host that nothing needs any more, taken away by tag and digest."""

from __future__ import annotations

import shutil

from visantctl.errors import Problem
from visantctl.releases import images
from visantctl.wiring import Device


def remove_leftovers(device: Device, wanted: str) -> None:
    """Every release but `wanted`, the good one and the previous one: they take the room that pictures need."""
    place = device.place
    names = {wanted, device.ledger.good, place.linked_version(place.current), place.linked_version(place.previous)}
    kept = [release for name in names if name and (release := device.whole_release(name))]
    for directory in sorted(place.releases.iterdir()):
        if directory.name in names:
            continue
        # Where the card damaged its manifest its images stay, which harms nobody.
        if directory.is_dir() and (release := device.whole_release(directory.name)):
            try:
                images.remove(device.engine, release, kept)
            except Problem as error:
                device.log.warning(f"images of {directory.name} were not removed: {error}")
        shutil.rmtree(directory, ignore_errors=True)
        device.log.info(f"removed release {directory.name}")
