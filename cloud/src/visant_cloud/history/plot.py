"""What a plot of a device's telemetry shows: one list of times and one of values for each thing asked for."""

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from visant_cloud.database.engine import Database
from visant_cloud.history import fields
from visant_cloud.history.fields import HOUR, STEP, Value
from visant_cloud.store import telemetry_history

RAW = timedelta(hours=telemetry_history.RAW_HOURS)
LONGEST = timedelta(days=telemetry_history.STEP_DAYS)


@dataclass(frozen=True)
class Plot:
    """`values`: one list for each name, as long as `times` (seconds since 1970)."""

    resolution: Literal["raw", "5min"]
    times: list[int]
    values: list[list[Value]]


async def plot(
    database: Database, device_key: str, begin: datetime, end: datetime, names: list[str], now: datetime
) -> Plot:
    """From `begin` to before `end`: each report as far as those are kept, else every step of five minutes.

    `names`: of `fields.parse_name`.
    """
    wanted = [fields.parse_name(name) for name in names]
    if begin >= now - RAW:
        told = await telemetry_history.reports(database, device_key, begin, end)
        times = [int(one.at.timestamp()) for one in told]
        return Plot("raw", times, [[fields.of_raw(one.kept, field) for one in told] for field, _ in wanted])
    first = int(begin.timestamp()) // HOUR * HOUR
    hours = {
        int(one.start.timestamp()): one.steps for one in await telemetry_history.hours(database, device_key, begin, end)
    }
    # the last hour or two are not made yet
    newest = datetime.fromtimestamp(max([first, *(start + HOUR for start in hours)]), UTC)
    late = await telemetry_history.reports(database, device_key, max(newest, now - RAW), end)
    by_hour: dict[int, list[tuple[float, list[Value]]]] = {}
    for one in late:
        by_hour.setdefault(int(one.at.timestamp()) // HOUR * HOUR, []).append((one.at.timestamp(), one.kept))
    hours |= {start: fields.hour_of(told, start) for start, told in by_hour.items()}
    starts = range(first, int(end.timestamp()), HOUR)
    times = [step for start in starts for step in range(start, start + HOUR, STEP)]
    low, high = bisect_left(times, int(begin.timestamp())), bisect_left(times, end.timestamp())
    values = [
        [value for start in starts for value in fields.of_hour(hours.get(start, ()), field, part)][low:high]
        for field, part in wanted
    ]
    return Plot("5min", times[low:high], values)
