"""Devices: who they are, whether they may come in, what they were told. What changes all the time: device_states.py."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, not_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.engine import Database
from visant_cloud.database.statements import among, insert_new
from visant_cloud.store import access_changes, counters, device_states
from visant_cloud.store.keys import DEFAULT_ORGANISATION, device_id_of, organisation_of
from visant_cloud.store.tables import devices


@dataclass(frozen=True)
class Device:
    """One row of `devices`."""

    organisation_id: str
    device_key: str
    device_id: str
    created_at: datetime
    active: bool
    old_client: bool
    token_hash: str | None
    token_revoked: bool
    token_seen_at: datetime | None
    device_version: str | None
    config: dict[str, Any] | None
    site: str | None = None
    """Where it stands: alerts of one site are told of together."""
    name: str | None = None
    """As people call it; None: by its id."""
    deleted_at: datetime | None = None
    """None, but for what `by_token` and `by_key` say of whoever calls."""

    @property
    def by_id_alone(self) -> bool:
        """An old client that never presented a token and is not revoked: its id is all it has."""
        return self.old_client and not self.token_revoked and self.token_seen_at is None


COLUMNS = [devices.c[name] for name in Device.__dataclass_fields__]
THERE = devices.c.deleted_at.is_(None)
"""Of those that were not deleted."""


def folded(text: str) -> str:
    """As it is compared: NFC, without regard to case. Pure."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def searched(device_id: str, name: str | None, site: str | None) -> str:
    """What `search` of a device holds: id, name and site, folded, a line each. None of them has a line's end. Pure."""
    return "\n".join(folded(one or "") for one in (device_id, name, site))


def _device(row: Row[Any]) -> Device:
    return Device(**row._asdict())


async def find(connection: AsyncConnection, device_key: str) -> Device | None:
    """The device, or None."""
    query = select(*COLUMNS).where(devices.c.device_key == device_key, THERE)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _device(row)


async def held(connection: AsyncConnection, device_key: str) -> Device | None:
    """The same, locked until the end of the transaction."""
    query = select(*COLUMNS).where(devices.c.device_key == device_key, THERE).with_for_update(key_share=True)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _device(row)


async def held_keys(connection: AsyncConnection, device_keys: Iterable[str]) -> dict[str, Device]:
    """device_key -> device, for those that there are, all locked until the end of the transaction."""
    query = select(*COLUMNS).where(among(connection, devices.c.device_key, device_keys), THERE)
    held = query.order_by(devices.c.device_key).with_for_update(key_share=True)
    return {row.device_key: _device(row) for row in await connection.execute(held)}


async def set_active(connection: AsyncConnection, device_keys: Iterable[str], active: bool) -> None:
    """Suspends or resumes these, which are held."""
    chosen = among(connection, devices.c.device_key, device_keys)
    await connection.execute(update(devices).where(chosen, THERE).values(active=active))
    await access_changes.note(connection)


async def being_deleted(connection: AsyncConnection, device_key: str) -> bool:
    """Whether a job removes what is left of it."""
    query = select(devices.c.device_key).where(
        devices.c.device_key == device_key, devices.c.deletion_job_id.is_not(None)
    )
    return (await connection.execute(query)).first() is not None


async def of_keys(connection: AsyncConnection, device_keys: Iterable[str]) -> dict[str, Device]:
    """device_key -> device, for those that there are."""
    query = select(*COLUMNS).where(among(connection, devices.c.device_key, device_keys), THERE)
    return {row.device_key: _device(row) for row in await connection.execute(query)}


async def by_key(database: Database, device_keys: Iterable[str]) -> dict[str, Device]:
    """The same, by a single read, and those that were deleted as well: who calls is told."""
    chosen = among(database, devices.c.device_key, device_keys)
    return {row.device_key: _device(row) for row in await database.read(select(*COLUMNS).where(chosen))}


async def by_token(database: Database, token_hashes: Iterable[str]) -> dict[str, Device]:
    """Hash of a token -> the device that holds it, for those that somebody holds; deleted ones as above."""
    chosen = among(database, devices.c.token_hash, token_hashes)
    return {row.token_hash: _device(row) for row in await database.read(select(*COLUMNS).where(chosen))}


async def everyone(connection: AsyncConnection, organisation_id: str | None = None) -> list[Device]:
    """All devices of an organisation, or (None) of all, by id."""
    query = select(*COLUMNS).where(THERE).order_by(devices.c.device_key)
    if organisation_id is not None:
        query = query.where(devices.c.organisation_id == organisation_id)
    return [_device(row) for row in await connection.execute(query)]


async def create(
    connection: AsyncConnection,
    device_key: str,
    now: datetime,
    *,
    token_hash: str | None = None,
    old_client: bool = False,
) -> bool:
    """A new device; False where the key is taken, or what was deleted under it is still being removed.

    One that was deleted begins anew; pictures that were kept are its own again.
    """
    fresh = {
        "created_at": now,
        "active": True,
        "old_client": old_client,
        "token_hash": token_hash,
        "token_revoked": False,
    }
    row = {
        "organisation_id": organisation_of(device_key),
        "device_key": device_key,
        "device_id": device_id_of(device_key),
        **fresh,
    }
    made = await insert_new(connection, devices, row)
    again = not made and await _again(connection, device_key, fresh)
    if made or again:
        await device_states.create(connection, device_key)
    if again:
        await counters.recount(connection, device_key, now)
    if again or (made and old_client):
        await access_changes.note(connection)
    return made or again


async def _again(connection: AsyncConnection, device_key: str, fresh: dict[str, Any]) -> bool:
    gone = devices.c.deleted_at.is_not(None), devices.c.deletion_job_id.is_(None)
    emptied = {**fresh, **dict.fromkeys(_OF_THE_LAST)}
    one = update(devices).where(devices.c.device_key == device_key, *gone).values(**emptied)
    return (await connection.execute(one)).rowcount == 1


_OF_THE_LAST = ("deleted_at", "token_seen_at", "device_version", "config", "site", "name", "notes", "search")


async def delete(connection: AsyncConnection, device_key: str, job_id: int, now: datetime) -> None:
    """Nobody is shown it any more and nobody comes in as it. Its token is known still: who shows it is told.

    The caller holds it (`held`); the job removes the rest (`deleted`).
    """
    gone = {"deleted_at": now, "deletion_job_id": job_id, "active": False, "old_client": False}
    await connection.execute(update(devices).where(devices.c.device_key == device_key).values(**gone))
    await access_changes.note(connection)


async def deleted(connection: AsyncConnection, device_key: str) -> None:
    """The job is through: the id may be used again."""
    emptied = dict.fromkeys(("deletion_job_id", *_OF_THE_LAST[1:]))
    await connection.execute(update(devices).where(devices.c.device_key == device_key).values(**emptied))


async def change(connection: AsyncConnection, device_key: str, **values: Any) -> bool:
    """Sets columns; False where there is no such device. Who may come in is told to every process."""
    result = await connection.execute(update(devices).where(devices.c.device_key == device_key, THERE).values(**values))
    if result.rowcount and not values.keys().isdisjoint(_ACCESS):
        await access_changes.note(connection)
    return result.rowcount == 1


async def name(connection: AsyncConnection, row: Device, **values: str | None) -> None:
    """Sets `name`, `site` or `notes` of a device that is held (`held`); what is left out stays."""
    search = searched(row.device_id, values.get("name", row.name), values.get("site", row.site))
    await change(connection, row.device_key, **values, search=search)


_ACCESS = {"active", "old_client", "token_hash", "token_revoked", "token_seen_at"}


async def mark_token_seen(connection: AsyncConnection, device: Device, now: datetime) -> bool:
    """The device presented its token for the first time; False where it has another token by now."""
    result = await connection.execute(
        update(devices)
        .where(devices.c.device_key == device.device_key, devices.c.token_hash == device.token_hash)
        .values(token_seen_at=now)
    )
    if result.rowcount and device.old_client:  # who has no token is not this device any more
        await access_changes.note(connection)
    return result.rowcount == 1


async def renew_token(connection: AsyncConnection, device_key: str, token_hash: str) -> bool:
    """A new token in place of the old one; False where there is no such device.

    An old client that has presented a token, or was revoked, needs one for good: its id alone lets nobody in again.
    """
    by_id_still = and_(devices.c.old_client, devices.c.token_seen_at.is_(None), not_(devices.c.token_revoked))
    fresh = {"token_hash": token_hash, "token_revoked": False, "token_seen_at": None}
    return await change(connection, device_key, **fresh, old_client=by_id_still)


async def any_by_id_alone(database: Database) -> bool:
    """Whether some device may come without a token (in the default organisation alone, where ids are known)."""
    query = select(devices.c.device_key).where(
        devices.c.organisation_id == DEFAULT_ORGANISATION,
        devices.c.old_client,
        devices.c.token_seen_at.is_(None),
        not_(devices.c.token_revoked),
    )
    return bool(await database.read(query.limit(1)))
