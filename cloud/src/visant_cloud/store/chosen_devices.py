"""Which devices a request means: by key, site, group and tag, and never beyond what its caller has to do with."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, select

from visant_cloud.store.scope import Scope
from visant_cloud.store.tables import device_groups, device_tags, devices, group_members


@dataclass(frozen=True)
class ChosenDevices:
    """All that is named must fit; what is not named is no bound."""

    scope: Scope = field(default_factory=Scope)
    keys: tuple[str, ...] = ()
    site: str | None = None
    group: str | None = None
    tag: str | None = None

    @property
    def named(self) -> bool:
        """Whether some are asked for by what they are, or are all that the caller has to do with."""
        return any(one is not None for one in (self.site, self.group, self.tag, self.scope.group_ids))

    @property
    def everything(self) -> bool:
        """Whether every device of the organisation is meant."""
        return not self.keys and not self.named

    def query(self) -> Select[Any]:
        """For their keys."""
        query = select(devices.c.device_key).where(self.scope.holds(devices), devices.c.deleted_at.is_(None))
        if self.keys:
            query = query.where(devices.c.device_key.in_(self.keys))
        if self.site is not None:
            query = query.where(devices.c.site == self.site)
        mine = self.scope.organisation_id
        if self.group is not None:
            members = select(group_members.c.device_key).join(
                device_groups, device_groups.c.group_id == group_members.c.group_id
            )
            called = members.where(device_groups.c.organisation_id == mine, device_groups.c.name == self.group)
            query = query.where(devices.c.device_key.in_(called))
        if self.tag is not None:
            tagged = select(device_tags.c.device_key)
            called = tagged.where(device_tags.c.organisation_id == mine, device_tags.c.tag == self.tag)
            query = query.where(devices.c.device_key.in_(called))
        return query
