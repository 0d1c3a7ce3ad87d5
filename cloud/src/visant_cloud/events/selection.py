"""Which events a reader wants: by type, device, site, group and tag; all that is named must fit."""

import time
from dataclasses import dataclass, field

from sqlalchemy import select

from visant_cloud.database.engine import Database
from visant_cloud.events.types import TYPES
from visant_cloud.problems import Refusal
from visant_cloud.store.events import Event
from visant_cloud.store.tables import device_groups, device_tags, devices, group_members

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

    organisation_id: str
    types: frozenset[str] | None = None
    device_key: str | None = None
    site: str | None = None
    group: str | None = None
    tag: str | None = None
    _keys: frozenset[str] = frozenset()
    _read_at: float = field(default=float("-inf"))

    @property
    def by_devices(self) -> bool:
        """Whether it must be known which devices are meant."""
        return any(one is not None for one in (self.site, self.group, self.tag))

    async def check(self, database: Database) -> None:
        """Raises Refusal where there is no such group: a site and a tag are words that anybody may write later."""
        if self.group is None:
            return
        mine = device_groups.c.organisation_id == self.organisation_id, device_groups.c.name == self.group
        if not await database.read(select(device_groups.c.group_id).where(*mine)):
            raise Refusal(404, f"There is no group {self.group[:100]!r}", "unknown_group")

    async def refresh(self, database: Database) -> None:
        """Reads which devices are meant, where that is REFRESH old."""
        if not self.by_devices or time.monotonic() - self._read_at < REFRESH:
            return
        query = select(devices.c.device_key).where(devices.c.organisation_id == self.organisation_id)
        if self.site is not None:
            query = query.where(devices.c.site == self.site)
        if self.group is not None:
            members = (
                select(group_members.c.device_key)
                .join(device_groups, device_groups.c.group_id == group_members.c.group_id)
                .where(device_groups.c.organisation_id == self.organisation_id, device_groups.c.name == self.group)
            )
            query = query.where(devices.c.device_key.in_(members))
        if self.tag is not None:
            tagged = select(device_tags.c.device_key).where(
                device_tags.c.organisation_id == self.organisation_id, device_tags.c.tag == self.tag
            )
            query = query.where(devices.c.device_key.in_(tagged))
        self._keys = frozenset(row.device_key for row in await database.read(query))
        self._read_at = time.monotonic()

    def wants(self, event: Event) -> bool:
        """Whether this one is told to the reader."""
        return (
            event.organisation_id == self.organisation_id
            and (self.types is None or event.type in self.types)
            and self.device_key in (None, event.device_key)
            and (not self.by_devices or event.device_key in self._keys)
        )
