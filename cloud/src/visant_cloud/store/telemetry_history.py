"""What devices told over time: each report for two days, then steps of five minutes, a row an hour and device.

A row an hour keeps 90 days of a fleet small: beside what is told in it a row costs some 60 bytes, whatever it holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.engine import Database
from visant_cloud.history import fields
from visant_cloud.store import meta_values
from visant_cloud.store.keys import organisation_of
from visant_cloud.store.tables import telemetry_hours, telemetry_reports

RAW_HOURS = 48
STEP_DAYS = 90
APART = 10
"""Seconds: of reports that come faster the last is kept, so that no device can write more than 17,280 rows."""
DEVICES = 100
"""Of which one transaction makes an hour."""
_FORGET = 2000
_ROLLED = "telemetry_rolled"
HOUR = timedelta(hours=1)


def _keeping(make: Any, table: Any, column: str, *key: str) -> Any:
    new = make(table)
    return new.on_conflict_do_update(index_elements=list(key), set_={column: new.excluded[column]})


_MAKES = (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
_REPORT = {name: _keeping(make, telemetry_reports, "kept", "device_key", "at") for name, make in _MAKES}
_HOUR = {name: _keeping(make, telemetry_hours, "steps", "device_key", "hour") for name, make in _MAKES}


async def note(connection: AsyncConnection, device_key: str, telemetry: Mapping[str, Any], now: datetime) -> None:
    """One report, in the transaction that takes it in."""
    seconds = int(now.timestamp()) // APART * APART
    row = {
        "organisation_id": organisation_of(device_key),
        "device_key": device_key,
        "at": datetime.fromtimestamp(seconds, UTC),
        "kept": fields.of_report(telemetry),
    }
    await connection.execute(_REPORT[connection.dialect.name], row)


@dataclass(frozen=True)
class Report:
    """What was kept of one report."""

    at: datetime
    kept: list[fields.Value]


@dataclass(frozen=True)
class Hour:
    """What was kept of an hour, `start` being its begin."""

    start: datetime
    steps: list[list[fields.Step] | None]


async def reports(database: Database, device_key: str, begin: datetime, end: datetime) -> list[Report]:
    """Of a device, from `begin` to before `end`."""
    at = telemetry_reports.c.at
    query = select(at, telemetry_reports.c.kept).where(
        telemetry_reports.c.device_key == device_key, at >= begin, at < end
    )
    return [Report(row.at, row.kept) for row in await database.read(query.order_by(at))]


async def hours(database: Database, device_key: str, begin: datetime, end: datetime) -> list[Hour]:
    """Those of a device that reach into the time from `begin` to before `end`."""
    hour = telemetry_hours.c.hour
    query = select(hour, telemetry_hours.c.steps).where(
        telemetry_hours.c.device_key == device_key, hour > begin - HOUR, hour < end
    )
    return [Hour(row.hour, row.steps) for row in await database.read(query.order_by(hour))]


async def rolled(database: Database) -> datetime | None:
    """Up to when all hours are made; None: none is yet."""
    kept = await meta_values.read(database, _ROLLED)
    return None if kept is None else datetime.fromisoformat(kept)


async def next_hour(database: Database) -> datetime | None:
    """The first hour that is not made and of which there is a report; None: there is none."""
    before = await rolled(database)
    query: Select[Any] = select(func.min(telemetry_reports.c.at))
    if before is not None:
        query = query.where(telemetry_reports.c.at >= before)
    first: datetime | None = (await database.read(query))[0][0]
    return None if first is None else _hour(first)


async def roll_up(connection: AsyncConnection, hour: datetime, after: str) -> str | None:
    """Makes the hour of the next DEVICES devices after this key; the last of them, None: there was none.

    What was made before is made again, of the same reports: whoever was killed in the middle begins anew.
    """
    mine = telemetry_reports.c.at >= hour, telemetry_reports.c.at < hour + HOUR
    key = telemetry_reports.c.device_key
    chosen = select(key).where(*mine, key > after).distinct().order_by(key).limit(DEVICES)
    keys: list[str] = list((await connection.execute(chosen)).scalars())
    if not keys:
        return None
    query = select(key, telemetry_reports.c.at, telemetry_reports.c.kept).where(*mine, key > after, key <= keys[-1])
    found: dict[str, list[tuple[float, Sequence[fields.Value]]]] = {}
    for row in await connection.execute(query.order_by(key, telemetry_reports.c.at)):
        found.setdefault(row.device_key, []).append((row.at.timestamp(), row.kept))
    start = hour.timestamp()
    rows = [
        {
            "organisation_id": organisation_of(device_key),
            "device_key": device_key,
            "hour": hour,
            "steps": fields.hour_of(told, start),
        }
        for device_key, told in found.items()
    ]
    await connection.execute(_HOUR[connection.dialect.name], rows)
    return keys[-1]


async def put_rolled(connection: AsyncConnection, until: datetime) -> None:
    """All hours up to then are made."""
    await meta_values.put(connection, _ROLLED, _hour(until).isoformat())


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


async def forget_reports(connection: AsyncConnection, before: datetime) -> int:
    """Deletes reports from before then, some at a time, of hours that are made. Returns how many."""
    kept = await meta_values.find(connection, _ROLLED)
    if kept is None:
        return 0
    border = _hour(min(before, datetime.fromisoformat(kept)))  # an hour is here whole, or made and done with
    key = telemetry_reports.c.device_key, telemetry_reports.c.at
    old = select(*key).where(telemetry_reports.c.at < border).order_by(telemetry_reports.c.at).limit(_FORGET)
    return (await connection.execute(delete(telemetry_reports).where(tuple_(*key).in_(old)))).rowcount


async def forget_hours(connection: AsyncConnection, before: datetime) -> int:
    """Deletes hours that began before then, some at a time. Returns how many."""
    key = telemetry_hours.c.device_key, telemetry_hours.c.hour
    old = select(*key).where(telemetry_hours.c.hour < before).order_by(telemetry_hours.c.hour).limit(_FORGET)
    return (await connection.execute(delete(telemetry_hours).where(tuple_(*key).in_(old)))).rowcount
