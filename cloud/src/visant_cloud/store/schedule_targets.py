"""What shared schedules are attached to: devices, groups and tags, and which devices that makes at this moment."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CompoundSelect, bindparam, delete, func, or_, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.statements import among, insert_many
from visant_cloud.store import shared_schedules as rows
from visant_cloud.store.keys import device_id_of, organisation_of
from visant_cloud.store.shared_schedules import SharedSchedule
from visant_cloud.store.tables import (
    device_groups,
    device_tags,
    devices,
    group_members,
    schedule_targets,
    shared_schedules,
)


@dataclass(frozen=True)
class Targets:
    """What a schedule is attached to, each in order."""

    devices: list[str]
    """Ids."""
    groups: list[str]
    """Names."""
    tags: list[str]


def _members(*conditions: Any) -> CompoundSelect[Any]:
    """(schedule_id, device_key), each once, of the targets that meet all of these."""
    one = schedule_targets.c
    return union(
        select(one.schedule_id, one.device_key).where(one.device_key.is_not(None), *conditions),
        select(one.schedule_id, group_members.c.device_key)
        .join(group_members, group_members.c.group_id == one.group_id)
        .where(*conditions),
        select(one.schedule_id, device_tags.c.device_key)
        .join(device_tags, (device_tags.c.organisation_id == one.organisation_id) & (device_tags.c.tag == one.tag))
        .where(*conditions),
    )


_OF_ONE = _members(schedule_targets.c.schedule_id == bindparam("of")).subquery()
_ACTIVE = (
    select(devices.c.device_key, devices.c.active)
    .join(_OF_ONE, _OF_ONE.c.device_key == devices.c.device_key)
    .order_by(devices.c.device_key)
)


async def members(connection: AsyncConnection, schedule_id: int) -> list[tuple[str, bool]]:
    """(device_key, active) of every device that the schedule is attached to now, in one way or several."""
    return [(row[0], row[1]) for row in await connection.execute(_ACTIVE, {"of": schedule_id})]


async def counts(connection: AsyncConnection, schedule_ids: Collection[int]) -> dict[int, int]:
    """schedule_id -> how many devices it is attached to now; those with none are left out."""
    which = _members(among(connection, schedule_targets.c.schedule_id, schedule_ids)).subquery()
    query = select(which.c.schedule_id, func.count()).group_by(which.c.schedule_id)
    return {row[0]: row[1] for row in await connection.execute(query)}


async def of_schedule(connection: AsyncConnection, schedule_id: int) -> Targets:
    """What it is attached to."""
    one = schedule_targets.c
    query = (
        select(one.device_key, device_groups.c.name, one.tag)
        .outerjoin(device_groups, device_groups.c.group_id == one.group_id)
        .where(one.schedule_id == schedule_id)
    )
    found = list(await connection.execute(query))
    return Targets(
        sorted(device_id_of(row[0]) for row in found if row[0] is not None),
        sorted(row[1] for row in found if row[1] is not None),
        sorted(row[2] for row in found if row[2] is not None),
    )


async def of_device(connection: AsyncConnection, device_key: str) -> list[SharedSchedule]:
    """The schedules that a device has by itself, by its groups or by its tags, by name."""
    one = schedule_targets.c
    mine = select(one.schedule_id).where(
        one.organisation_id == organisation_of(device_key),
        or_(
            one.device_key == device_key,
            one.group_id.in_(select(group_members.c.group_id).where(group_members.c.device_key == device_key)),
            one.tag.in_(select(device_tags.c.tag).where(device_tags.c.device_key == device_key)),
        ),
    )
    query = select(*rows.COLUMNS).where(shared_schedules.c.schedule_id.in_(mine)).order_by(shared_schedules.c.name)
    return [rows.from_row(row) for row in await connection.execute(query)]


async def unknown_devices(connection: AsyncConnection, device_keys: Collection[str]) -> list[str]:
    """Keys of these that are no device's."""
    query = select(devices.c.device_key).where(among(connection, devices.c.device_key, device_keys))
    known = {row[0] for row in await connection.execute(query)}
    return [key for key in device_keys if key not in known]


async def groups_called(connection: AsyncConnection, organisation_id: str, names: Collection[str]) -> dict[str, int]:
    """Name -> group_id, of those of the organisation that there are."""
    query = select(device_groups.c.name, device_groups.c.group_id).where(
        device_groups.c.organisation_id == organisation_id, among(connection, device_groups.c.name, names)
    )
    return {row[0]: row[1] for row in await connection.execute(query)}


async def attach(
    connection: AsyncConnection,
    found: SharedSchedule,
    device_keys: Iterable[str],
    group_ids: Iterable[int],
    tags: Iterable[str],
) -> None:
    """To these as well. They are of the schedule's organisation, and the caller has seen them."""
    common = {"organisation_id": found.organisation_id, "schedule_id": found.schedule_id}
    nobody: dict[str, Any] = {"device_key": None, "group_id": None, "tag": None}
    new: list[dict[str, Any]] = [
        *({"device_key": one} for one in device_keys),
        *({"group_id": one} for one in group_ids),
        *({"tag": one} for one in tags),
    ]
    await insert_many(connection, schedule_targets, [{**common, **nobody, **one} for one in new])


async def detach(
    connection: AsyncConnection,
    found: SharedSchedule,
    device_keys: Collection[str],
    group_ids: Collection[int],
    tags: Collection[str],
) -> None:
    """From these; what it is not attached to is left out."""
    one = schedule_targets.c
    for column, values in ((one.device_key, device_keys), (one.group_id, group_ids), (one.tag, tags)):
        if values:
            await connection.execute(
                delete(schedule_targets).where(one.schedule_id == found.schedule_id, among(connection, column, values))
            )
