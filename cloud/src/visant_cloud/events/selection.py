"""Which events a reader wants: by type, device, site, group and tag; all that is named must fit."""

import time
from dataclasses import dataclass, field

from sqlalchemy import select

from visant_cloud.database.engine import Database
from visant_cloud.events.types import TYPES
from visant_cloud.problems import Refusal
from visant_cloud.store.chosen_devices import ChosenDevices
from visant_cloud.store.events import Event
from visant_cloud.store.tables import device_groups

REFRESH = 5.0
"""Seconds for which it is believed which devices are of a site, a group, a tag."""


def chosen_types(wanted: str | None) -> frozenset[str] | None:
    """`trigger.ended,alert.*` as the types it names; None: all, those of later releases as well. Raises Refusal."""
    if wanted is None:
        return None
    found: set[str] = set()
    for word in wanted.split(","):
        name = word.strip()
        begin = name.removesuffix("*")
        mine = {one for one in TYPES if (one.startswith(begin) if begin.endswith(".") else one == name)}
        if not mine:
            raise Refusal(422, f"types: {name[:40]!r} is none of {', '.join(TYPES)}, nor e.g. `trigger.*`", "invalid")
        found |= mine
    return frozenset(found)


@dataclass
class Selection:
    """Of one reader. Empty: everything of the organisation."""

    devices: ChosenDevices
    types: frozenset[str] | None = None
    device_key: str | None = None
    _keys: frozenset[str] = frozenset()
    _read_at: float = field(default=float("-inf"))

    async def check(self, database: Database) -> None:
        """Raises Refusal where there is no such group: a site and a tag are words that anybody may write later."""
        group, mine = self.devices.group, device_groups.c.organisation_id == self.devices.scope.organisation_id
        if group is None:
            return
        if not await database.read(select(device_groups.c.group_id).where(mine, device_groups.c.name == group)):
            raise Refusal(404, f"There is no group {group[:100]!r}", "unknown_group")

    async def refresh(self, database: Database) -> None:
        """Reads which devices are meant, where that is REFRESH old."""
        if not self.devices.named or time.monotonic() - self._read_at < REFRESH:
            return
        self._keys = frozenset(row.device_key for row in await database.read(self.devices.query()))
        self._read_at = time.monotonic()

    def wants(self, event: Event) -> bool:
        """Whether this one is told to the reader."""
        return (
            event.organisation_id == self.devices.scope.organisation_id
            and (self.types is None or event.type in self.types)
            and self.device_key in (None, event.device_key)
            and (not self.devices.named or event.device_key in self._keys)
        )
