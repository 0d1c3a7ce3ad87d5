"""What alerts look at: a line of each device at every round, and all the rest of those that changed."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import select

from visant_cloud.alerts.engine import NOTHING, Head, Stated, Told
from visant_cloud.alerts.states import Ended, Slot
from visant_cloud.database.engine import Database
from visant_cloud.database.statements import among
from visant_cloud.store.device_states import COLUMNS as STATE_COLUMNS
from visant_cloud.store.device_states import DeviceState
from visant_cloud.store.quality import VERDICT, pictures_of
from visant_cloud.store.tables import device_quality, device_states, devices, schedules, triggers

_HEADS = select(
    devices.c.device_key, devices.c.organisation_id, devices.c.site, devices.c.active, device_states.c.changes
).join(device_states, device_states.c.device_key == devices.c.device_key)
_REST = (
    _HEADS.add_columns(
        devices.c.created_at,
        schedules.c.interval_seconds,
        device_states.c.stated,
        *VERDICT,
        *STATE_COLUMNS,
    )
    .outerjoin(schedules, schedules.c.device_key == devices.c.device_key)
    .outerjoin(device_quality, device_quality.c.device_key == devices.c.device_key)
    .order_by(devices.c.device_key)
)
_HEAD = len(Head._fields)
_PIECE = 250
"""Rows, as in fleet.py: a stream does not wait for longer."""


async def heads(database: Database) -> list[Head]:
    """Of every device, in one statement and without what is large."""
    return [Head._make(row) for row in await database.read(_HEADS)]


async def told(database: Database, device_keys: Sequence[str]) -> list[Told]:
    """Everything about these, read in pieces: after a start it is the whole fleet."""
    found: list[Told] = []
    for start in range(0, len(device_keys), _PIECE):
        found += await _told(database, device_keys[start : start + _PIECE])
    return found


async def _told(database: Database, device_keys: Collection[str]) -> list[Told]:
    rows = await database.read(_REST.where(among(database, devices.c.device_key, device_keys)))
    states = [DeviceState(*row[_HEAD + 3 + len(VERDICT) :]) for row in rows]
    # the newest outcome of a scheduled device, where it is no picture: was it of a slot?
    newest = [
        state.ended[-1][0]
        for row, state in zip(rows, states, strict=True)
        if row[_HEAD + 1] is not None and state.ended and state.ended[-1][1] != "executed"
    ]
    slots = await _slots(database, newest) if newest else {}
    return [
        Told(
            Head(*row[:_HEAD]),
            created_at=row[_HEAD],
            last_seen_at=state.last_seen_at,
            telemetry=state.telemetry,
            telemetry_at=state.telemetry_at,
            outcomes=tuple(Ended(*one) for one in state.ended),
            interval=row[_HEAD + 1],
            slot=slots.get(state.ended[-1][0]) if state.ended else None,
            pictures=pictures_of(*row[_HEAD + 3 : _HEAD + 3 + len(VERDICT)]),
            stated=_stated(row[_HEAD + 2]),
        )
        for row, state in zip(rows, states, strict=True)
    ]


def _stated(kept: Any) -> Stated:
    return NOTHING if kept is None else Stated(kept["connected"], kept["state"], tuple(kept["causes"]))


async def _slots(database: Database, seqs: Collection[int]) -> dict[int, Slot]:
    query = select(triggers.c.seq, triggers.c.scheduled_for, triggers.c.reason).where(
        among(database, triggers.c.seq, seqs), triggers.c.scheduled_for.is_not(None)
    )
    return {row.seq: Slot(row.seq, row.scheduled_for, row.reason) for row in await database.read(query)}
