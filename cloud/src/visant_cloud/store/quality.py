"""What is known of a device's pictures: their normal, its views, a reference, a mask, and what was said last.

A row a device, written with each picture and read before it, without a lock between: who finds another `version` than
the one that was read writes nothing, and of two pictures at once the device learns one.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.alerts.states import Pictures
from visant_cloud.database.engine import Database
from visant_cloud.database.statements import among, insert_new
from visant_cloud.quality.judge import STATES, Memory, State
from visant_cloud.quality.normal import from_json
from visant_cloud.quality.views import View, view_from_json
from visant_cloud.store.keys import organisation_of
from visant_cloud.store.tables import device_quality, device_states

_FIELDS = ("version", "normal", "views", "reference_record_id", "reference", "mask", "state", "since", "reason")
_FIND = select(*(device_quality.c[name] for name in _FIELDS)).where(device_quality.c.device_key == bindparam("key"))
_NORMAL = (
    update(device_quality)
    .where(device_quality.c.device_key == bindparam("key"), device_quality.c.version == bindparam("before"))
    .values(version=device_quality.c.version + 1, normal=bindparam("new_normal"))
)


VERDICT = (device_quality.c.state, device_quality.c.since, device_quality.c.reason)


def pictures_of(state: str | None, since: datetime | None, reason: str | None) -> Pictures | None:
    """Of the columns VERDICT: what is said against a device's pictures."""
    return None if state is None or state == "useful" else Pictures(state, since, reason or "")


async def verdicts(
    connection: AsyncConnection, organisation_id: str, device_keys: Collection[str] | None = None
) -> dict[str, Pictures]:
    """device_key -> what is said against its pictures, of those of which something is."""
    mine = device_quality.c.organisation_id == organisation_id
    if device_keys is not None:
        mine = among(connection, device_quality.c.device_key, device_keys)
    query = select(device_quality.c.device_key, *VERDICT).where(mine, device_quality.c.state != "useful")
    found = {key: pictures_of(*said) for key, *said in await connection.execute(query)}
    return {key: said for key, said in found.items() if said is not None}


@dataclass(frozen=True)
class Known:
    """One row of `device_quality`. `version` 0: there is none yet."""

    memory: Memory = field(default_factory=Memory)
    version: int = 0
    reference_record_id: str | None = None
    polygons: list[list[list[float]]] = field(default_factory=list)
    """As the mask was given."""
    since: datetime | None = None
    """When the first picture of the verdict was taken; null while pictures are useful."""
    reason: str | None = None


async def find(where: Database | AsyncConnection, device_key: str) -> Known:
    """What is known."""
    given = {"key": device_key}
    rows = await where.read(_FIND, given) if isinstance(where, Database) else (await where.execute(_FIND, given)).all()
    if not rows:
        return Known()
    row = rows[0]
    kept = json.loads(row.views)
    listed = [view for one in kept["views"] if (view := view_from_json(one)) is not None]
    reference = None if row.reference is None else json.loads(row.reference)
    mask = row.mask or {"polygons": [], "tiles": []}
    memory = Memory(
        normal=from_json(json.loads(row.normal)),
        views=tuple(listed),
        candidate=view_from_json(kept["candidate"]),
        reference=None if reference is None else view_from_json(reference["view"]),
        masked=frozenset(mask["tiles"]),
        state=_state(row.state),
        sharpness=None if reference is None else reference["sharpness"],
    )
    return Known(memory, row.version, row.reference_record_id, mask["polygons"], row.since, row.reason)


def _state(kept: str) -> State:
    return next((one for one in STATES if one == kept), "useful")


async def note(
    connection: AsyncConnection,
    device_key: str,
    before: Known,
    after: Memory,
    at: datetime,
    reason: str,
    record_id: str,
) -> None:
    """What is known after a picture, taken `at`; nothing where another was faster. The device's state is locked."""
    if before.version and _same_but_normal(before.memory, after):
        given = {"key": device_key, "before": before.version, "new_normal": _normal(after)}
        await connection.execute(_NORMAL, given)
        return
    said: dict[str, Any] = {}
    if after.state != before.memory.state:
        useful = after.state == "useful"
        began = datetime.fromtimestamp(after.normal.run_since, UTC) if after.normal.run_since else at
        since, record = (None, None) if useful else (min(began, at), record_id)
        said = {"since": since, "reason": None if useful else reason, "record_id": record}
    await write(connection, device_key, before, after, **said)


def _same_but_normal(before: Memory, after: Memory) -> bool:
    return (
        before.views is after.views and before.candidate is None and after.candidate is None
    ) and before.state == after.state


async def write(connection: AsyncConnection, device_key: str, before: Known, after: Memory, **more: Any) -> bool:
    """All of it. False: another was faster, and nothing was written."""
    values = {"normal": _normal(after), "views": _views(after), "state": after.state, **more}
    if before.version:
        query = (
            update(device_quality)
            .where(device_quality.c.device_key == device_key, device_quality.c.version == before.version)
            .values(version=before.version + 1, **values)
        )
        written = (await connection.execute(query)).rowcount == 1
    else:
        row = {"organisation_id": organisation_of(device_key), "device_key": device_key, "version": 1, **values}
        written = await insert_new(connection, device_quality, row)
    if written and after.state != before.memory.state:  # alerts look at it
        query = update(device_states).where(device_states.c.device_key == device_key)
        await connection.execute(query.values(changes=device_states.c.changes + 1))
    return written


def reference_values(record_id: str | None, view: View | None, sharpness: float | None) -> dict[str, Any]:
    """For `write`: the picture that a device's are compared with, or that there is none."""
    kept = None if view is None else json.dumps({"view": view.as_json(), "sharpness": sharpness})
    return {"reference_record_id": record_id, "reference": kept}


def mask_values(polygons: list[list[list[float]]], tiles: list[int]) -> dict[str, Any]:
    """For `write`: what of its pictures does not count."""
    return {"mask": {"polygons": polygons, "tiles": tiles} if polygons else None}


NO_VERDICT: dict[str, Any] = {"since": None, "reason": None, "record_id": None}
"""For `write`: nothing is said against its pictures."""


def _normal(memory: Memory) -> str:
    return json.dumps(memory.normal.as_json(), separators=(",", ":"))


def _views(memory: Memory) -> str:
    candidate = None if memory.candidate is None else memory.candidate.as_json()
    return json.dumps({"views": [one.as_json() for one in memory.views], "candidate": candidate})
