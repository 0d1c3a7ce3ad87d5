"""Groups, tags and notes of devices."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.statements import among, insert_many, insert_new
from visant_cloud.store.devices import THERE
from visant_cloud.store.keys import organisation_of
from visant_cloud.store.tables import device_groups, device_tags, devices, group_members

MAX_GROUPS = 1000
"""Of an organisation."""
MAX_TAGS = 32
"""Of a device."""


@dataclass(frozen=True)
class Group:
    """One row of `device_groups`, and how many devices are in it."""

    group_id: int
    name: str
    created_at: datetime
    devices: int


@dataclass(frozen=True)
class Labels:
    """What people wrote on a device beside its name and site."""

    notes: str | None = None
    groups: list[str] = field(default_factory=list)
    """Their names, in order."""
    tags: list[str] = field(default_factory=list)


NONE = Labels()


async def of_devices(connection: AsyncConnection, device_keys: Iterable[str]) -> dict[str, Labels]:
    """device_key -> what is written on it, for those on which something is."""
    keys = list(device_keys)
    notes = select(devices.c.device_key, devices.c.notes).where(
        among(connection, devices.c.device_key, keys), devices.c.notes.is_not(None)
    )
    groups = (
        select(group_members.c.device_key, device_groups.c.name)
        .join(device_groups, device_groups.c.group_id == group_members.c.group_id)
        .where(among(connection, group_members.c.device_key, keys))
        .order_by(device_groups.c.name)
    )
    tags = select(device_tags.c.device_key, device_tags.c.tag).where(among(connection, device_tags.c.device_key, keys))
    noted: dict[str, str] = {key: text for key, text in await connection.execute(notes)}
    grouped: dict[str, list[str]] = {}
    for key, name in await connection.execute(groups):
        grouped.setdefault(key, []).append(name)
    tagged: dict[str, list[str]] = {}
    for key, tag in await connection.execute(tags.order_by(device_tags.c.tag)):
        tagged.setdefault(key, []).append(tag)
    return {
        key: Labels(noted.get(key), grouped.get(key, []), tagged.get(key, []))
        for key in noted.keys() | grouped.keys() | tagged.keys()
    }


async def of_device(connection: AsyncConnection, device_key: str) -> Labels:
    """What is written on one."""
    return (await of_devices(connection, [device_key])).get(device_key, NONE)


# Groups


async def groups(connection: AsyncConnection, organisation_id: str) -> list[Group]:
    """All of an organisation, by name."""
    counts = (
        select(group_members.c.group_id, func.count().label("devices"))
        .join(devices, devices.c.device_key == group_members.c.device_key)
        .where(group_members.c.organisation_id == organisation_id, THERE)
        .group_by(group_members.c.group_id)
        .subquery()
    )
    query = (
        select(
            device_groups.c.group_id,
            device_groups.c.name,
            device_groups.c.created_at,
            func.coalesce(counts.c.devices, 0),
        )
        .outerjoin(counts, counts.c.group_id == device_groups.c.group_id)
        .where(device_groups.c.organisation_id == organisation_id)
        .order_by(device_groups.c.name)
    )
    return [Group(*row) for row in await connection.execute(query)]


async def group(
    connection: AsyncConnection, organisation_id: str, group_id: int, *, hold: bool = False
) -> Group | None:
    """One of this organisation, or None. `hold`: locked until the end of the transaction."""
    query = select(device_groups.c.group_id, device_groups.c.name, device_groups.c.created_at).where(
        device_groups.c.organisation_id == organisation_id, device_groups.c.group_id == group_id
    )
    if hold:
        query = query.with_for_update(key_share=True)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    count = (
        select(func.count())
        .select_from(group_members)
        .join(devices, devices.c.device_key == group_members.c.device_key)
        .where(group_members.c.group_id == group_id, THERE)
    )
    return Group(*row, int((await connection.execute(count)).scalar_one()))


async def group_ids(connection: AsyncConnection, organisation_id: str) -> dict[str, int]:
    """name -> group_id, all of an organisation."""
    query = select(device_groups.c.name, device_groups.c.group_id)
    rows = await connection.execute(query.where(device_groups.c.organisation_id == organisation_id))
    return {name: group_id for name, group_id in rows}


async def hold_groups(connection: AsyncConnection, organisation_id: str, group_ids: Collection[int]) -> set[int]:
    """Which of them there are, such that nobody deletes them before the end of the transaction."""
    query = select(device_groups.c.group_id).where(
        device_groups.c.organisation_id == organisation_id, among(connection, device_groups.c.group_id, group_ids)
    )
    held = query.order_by(device_groups.c.group_id).with_for_update(read=True, key_share=True)
    return set((await connection.execute(held)).scalars())


async def create_group(connection: AsyncConnection, organisation_id: str, name: str, now: datetime) -> Group | None:
    """A new one; None where the name is taken."""
    row = {"organisation_id": organisation_id, "name": name, "created_at": now}
    if not await insert_new(connection, device_groups, row):
        return None
    return await group(connection, organisation_id, (await group_ids(connection, organisation_id))[name])


async def rename_group(connection: AsyncConnection, group_id: int, name: str) -> bool:
    """False where the name is taken."""
    try:
        async with connection.begin_nested():
            one = update(device_groups).where(device_groups.c.group_id == group_id)
            await connection.execute(one.values(name=name))
    except IntegrityError:
        return False
    return True


async def delete_group(connection: AsyncConnection, organisation_id: str, group_id: int) -> bool:
    """Its devices stay. False where there is none."""
    mine = device_groups.c.organisation_id == organisation_id, device_groups.c.group_id == group_id
    return (await connection.execute(delete(device_groups).where(*mine))).rowcount == 1


async def join(connection: AsyncConnection, group_ids: Collection[int], device_keys: Iterable[str]) -> None:
    """These devices are in these groups, all of one organisation."""
    rows = [
        {"organisation_id": organisation_of(key), "group_id": group_id, "device_key": key}
        for key in device_keys
        for group_id in group_ids
    ]
    await insert_many(connection, group_members, rows)


async def leave(
    connection: AsyncConnection, device_keys: Iterable[str], group_ids: Collection[int] | None = None
) -> None:
    """These devices are no more in these groups, or (None) in any."""
    gone = delete(group_members).where(among(connection, group_members.c.device_key, device_keys))
    if group_ids is not None:
        gone = gone.where(among(connection, group_members.c.group_id, group_ids))
    await connection.execute(gone)


# Tags


async def tags(connection: AsyncConnection, organisation_id: str) -> dict[str, int]:
    """tag -> devices that have it, by name."""
    query = (
        select(device_tags.c.tag, func.count())
        .join(devices, devices.c.device_key == device_tags.c.device_key)
        .where(device_tags.c.organisation_id == organisation_id, THERE)
        .group_by(device_tags.c.tag)
        .order_by(device_tags.c.tag)
    )
    return {tag: count for tag, count in await connection.execute(query)}


async def add_tags(connection: AsyncConnection, device_keys: Iterable[str], tags: Collection[str]) -> None:
    """These devices have these tags."""
    rows = [
        {"organisation_id": organisation_of(key), "device_key": key, "tag": tag} for key in device_keys for tag in tags
    ]
    await insert_many(connection, device_tags, rows)


async def remove_tags(
    connection: AsyncConnection, device_keys: Iterable[str], tags: Collection[str] | None = None
) -> None:
    """These devices have these tags no more, or (None) none at all."""
    gone = delete(device_tags).where(among(connection, device_tags.c.device_key, device_keys))
    if tags is not None:
        gone = gone.where(among(connection, device_tags.c.tag, tags))
    await connection.execute(gone)


async def most_tags(connection: AsyncConnection, device_keys: Iterable[str]) -> dict[str, int]:
    """device_key -> how many tags it has, for those with any."""
    query = select(device_tags.c.device_key, func.count()).where(
        among(connection, device_tags.c.device_key, device_keys)
    )
    return {key: count for key, count in await connection.execute(query.group_by(device_tags.c.device_key))}
