"""The ledger of triggers: every one ends in exactly one outcome, and the way there stays readable.

How one begins is in trigger_creation.py, how it ends in trigger_outcomes.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Row, Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.statements import among
from visant_cloud.store.keys import device_id_of
from visant_cloud.store.tables import triggers

OPEN = ("pending", "sent")
IS_OPEN = triggers.c.ended_at.is_(None)
"""The same, as the indexes on the open ones have it; `status` is in no index, so that `sent` changes none."""
Kind = Literal["capture", "update_config"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Trigger:
    """One row of `triggers`. `seq` rises with each and is the SSE id."""

    seq: int
    device_key: str
    trigger_id: str
    kind: Kind
    """As the row says: a newer release, or one that was taken back, may have written a word that is not in Kind."""
    type: str
    status: str
    reason: str | None
    detail: str | None
    provisional: bool
    config: dict[str, Any] | None
    created_at: datetime
    expires_at: datetime | None
    sent_at: datetime | None
    ended_at: datetime | None
    history: list[dict[str, Any]] = field(default_factory=list)
    schedule_id: int | None = None
    scheduled_for: datetime | None = None
    """The time of the slot; None: it is of no schedule."""
    gap: str | None = None
    """Why its picture does not count (slot_gaps.py)."""
    stages: dict[str, Any] | None = None
    """Of the device's report, as it was told."""

    @property
    def device_id(self) -> str:
        """What the device calls itself."""
        return device_id_of(self.device_key)


COLUMNS = [triggers.c[name] for name in Trigger.__dataclass_fields__]


def from_row(row: Row[Any]) -> Trigger:
    """Of a query for COLUMNS."""
    return Trigger(**row._asdict())


async def first(connection: AsyncConnection, query: Select[Any]) -> Trigger | None:
    row = (await connection.execute(query)).first()
    return None if row is None else from_row(row)


async def find(connection: AsyncConnection, device_key: str, trigger_id: str) -> Trigger | None:
    """The trigger, or None."""
    return await first(connection, one(device_key, trigger_id))


def one(device_key: str, trigger_id: str) -> Select[Any]:
    return select(*COLUMNS).where(triggers.c.device_key == device_key, triggers.c.trigger_id == trigger_id)


async def mark_sent(connection: AsyncConnection, seqs: Iterable[int], now: datetime) -> None:
    """These were written to a stream; the first time counts."""
    held = locked_seqs(among(connection, HELD.c.seq, seqs), HELD.c.status == "pending").subquery("held")
    await connection.execute(
        update(triggers)
        .where(triggers.c.seq == held.c.seq, triggers.c.status == "pending")
        .values(status="sent", sent_at=now)
    )


HELD = triggers.alias("mine")


def locked_seqs(*which: ColumnElement[bool]) -> Select[Any]:
    """The seqs of these rows of `HELD`, locked in the order that every transaction takes them in."""
    return select(HELD.c.seq).where(*which).order_by(HELD.c.seq).with_for_update(key_share=True)


async def end_settings(connection: AsyncConnection, device_key: str, now: datetime) -> None:
    """Newer settings are there: older ones that wait are sent no more. The device's word on them still counts."""
    await connection.execute(
        update(triggers)
        .where(
            triggers.c.device_key == device_key,
            triggers.c.kind == "update_config",
            IS_OPEN,
            triggers.c.expires_at > now,
        )
        .values(expires_at=now)
    )
