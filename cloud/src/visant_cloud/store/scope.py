"""Which devices a caller has to do with: those of its organisation, or of some groups of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.engine import Database
from visant_cloud.database.statements import among, insert_new
from visant_cloud.store.keys import DEFAULT_ORGANISATION
from visant_cloud.store.tables import device_groups, group_members


@dataclass(frozen=True)
class Scope:
    """Whatever a query reads or changes for a caller lies in here."""

    organisation_id: str = DEFAULT_ORGANISATION
    group_ids: tuple[int, ...] | None = None
    """None: all devices of the organisation, and what is of no device. Empty: none at all."""

    def holds(self, table: Table) -> ColumnElement[bool]:
        """Condition on the rows of a table that has `organisation_id` and `device_key`."""
        mine: ColumnElement[bool] = table.c.organisation_id == self.organisation_id
        return mine if self.group_ids is None else and_(mine, table.c.device_key.in_(self._devices()))

    def _devices(self) -> Select[Any]:
        return select(group_members.c.device_key).where(group_members.c.group_id.in_(self.group_ids or ()))


async def within(database: Database, scope: Scope, device_keys: Iterable[str]) -> frozenset[str]:
    """Those of these devices that are in one of the scope's groups."""
    wanted = among(database, group_members.c.device_key, device_keys)
    mine = group_members.c.organisation_id == scope.organisation_id
    rows = await database.read(
        select(group_members.c.device_key).where(wanted, mine, group_members.c.group_id.in_(scope.group_ids or ()))
    )
    return frozenset(row.device_key for row in rows)


async def put_into(connection: AsyncConnection, scope: Scope, device_key: str) -> None:
    """A new device of somebody who is limited to groups is in these groups; of others nothing is done."""
    known = select(device_groups.c.group_id).where(
        device_groups.c.organisation_id == scope.organisation_id, device_groups.c.group_id.in_(scope.group_ids or ())
    )
    for group_id in (await connection.execute(known)).scalars().all():
        row = {"organisation_id": scope.organisation_id, "group_id": group_id, "device_key": device_key}
        await insert_new(connection, group_members, row)


async def group_names(connection: AsyncConnection, organisation_id: str) -> dict[int, str]:
    """group_id -> name, of an organisation."""
    query = select(device_groups.c.group_id, device_groups.c.name).where(
        device_groups.c.organisation_id == organisation_id
    )
    return {row.group_id: row.name for row in await connection.execute(query)}
