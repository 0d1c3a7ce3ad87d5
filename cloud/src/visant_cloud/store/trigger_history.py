"""What became of the triggers, for people to read: pages. Nothing here changes one."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.store.scope import Scope
from visant_cloud.store.tables import devices, triggers
from visant_cloud.store.triggers import COLUMNS, IS_OPEN, Trigger, from_row


async def page(
    connection: AsyncConnection,
    scope: Scope,
    device_key: str | None,
    *,
    before: int | None,
    limit: int,
    status: str | None = None,
) -> list[Trigger]:
    """Newest first, of one device or (None) of all; `before` is the seq to go on from."""
    # the key names the organisation as well; asked for both, a database may choose the index of all devices
    mine = scope.holds(triggers) if device_key is None else triggers.c.device_key == device_key
    query = select(*COLUMNS).where(mine)
    if before is not None:
        query = query.where(triggers.c.seq < before)
    if status is not None:
        query = query.where(triggers.c.status == status)
    rows = await connection.execute(query.order_by(triggers.c.seq.desc()).limit(limit))
    return [from_row(row) for row in rows]


async def under_way(connection: AsyncConnection, scope: Scope, device_key: str | None = None) -> dict[str, int]:
    """`pending` and `sent` -> capture triggers that have not ended, of one device or (None) of all.

    Counted, in their index: they are few, for each has a deadline.
    """
    query = select(triggers.c.status, func.count()).where(IS_OPEN, triggers.c.kind == "capture")
    if device_key is not None:
        query = query.where(triggers.c.device_key == device_key)
    else:  # by way of the devices: by its organisation, a database may read all that it ever had
        mine = select(devices.c.device_key).where(scope.holds(devices))
        query = query.where(triggers.c.device_key.in_(mine))
    return {status: count for status, count in await connection.execute(query.group_by(triggers.c.status))}
