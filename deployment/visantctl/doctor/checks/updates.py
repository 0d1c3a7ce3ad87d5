"""Whether a release could be had now, and how the last update went."""

from __future__ import annotations

from collections.abc import Iterator

from visantctl.doctor.finding import Finding, good, warn
from visantctl.errors import Problem
from visantctl.host.env_file import read_env_file
from visantctl.releases import fetch
from visantctl.releases.manifest import MAX_BYTES
from visantctl.updates.asked import Wish
from visantctl.wiring import Device

ORDER = 90


def check(device: Device) -> Iterator[Finding]:
    """Says nothing where all is well: most devices look at night."""
    last = next(reversed(device.ledger.history()), None)
    wish = Wish.read(device.place)
    if wish.told:
        yield good("updates", f"{wish.told} by the cloud since {wish.since}")
    if not read_env_file(device.place.env_file).get("UPDATE_URL"):
        yield warn(
            "updates",
            "UPDATE_URL is not set: releases come by file only",
            "sudo visantctl configure UPDATE_URL=https://...; or leave it, and use visantctl update --from",
        )
    elif trouble := _source(device):
        yield warn("updates", trouble, "is UPDATE_URL right, and open in the firewall? The device works without it")
    if last and last.get("result") in ("taken_back", "not_taken"):
        yield warn(
            "updates",
            f"the last one, at {last.get('at')}: {last['result']}: {last.get('reason')}",
            "visantctl history; tail /var/log/visant-update.log",
        )


def _source(device: Device) -> str | None:
    """Why no release could be had now; None: one could."""
    url = f"{device.settings.update_url}/{device.settings.channel}/release.json"
    try:
        fetch.small(url, MAX_BYTES, device.settings.proxies)
    except Problem as problem:
        return str(problem)
    return None
