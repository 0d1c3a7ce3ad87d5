"""`GET /v1/devices/{device_id}/telemetry`: what a device told over time, ready for a plot."""

import asyncio
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BeforeValidator

from visant_cloud.access.callers import Viewer
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.alerts.rules import only_text
from visant_cloud.context import cloud_of
from visant_cloud.history import fields as history
from visant_cloud.history.plot import LONGEST, plot
from visant_cloud.openapi import refuses
from visant_cloud.problems import Refusal, unknown_device
from visant_cloud.store import devices
from visant_cloud.views.telemetry_answers import TelemetryPlot

router = APIRouter(route_class=GuardedRoute, tags=["operator"])
_MOST = 24
"""Fields of one answer."""
_DAY = timedelta(days=1)
Moment = Annotated[AwareDatetime, BeforeValidator(only_text)]


@router.get("/v1/devices/{device_id}/telemetry", responses=refuses(404), response_model=TelemetryPlot)
async def telemetry(
    request: Request,
    caller: Viewer,
    device_id: str,
    fields: Annotated[str, Query(max_length=1000)] = "camera,spool_pictures,disk_free_bytes,temperature",
    begin: Annotated[Moment | None, Query(alias="from")] = None,
    end: Annotated[Moment | None, Query(alias="to")] = None,
) -> Response:
    """What a device told from `from` (a day before `to`) to `to` (now): each report of the last 48 h, else steps.

    `fields`: names with commas between; of a number in a step of 5 minutes the mean, or what is asked for as
    `temperature.max` (`min`, `mean`, `max`, `last`). At most 90 days.
    """
    cloud, key, names = cloud_of(request), caller.key(device_id), _names(fields)
    now = cloud.now()
    last = min(end or now, now + timedelta(seconds=1))
    first = begin or last - _DAY
    if first >= (end or last):
        raise Refusal(422, "from: a time before `to`", "invalid")
    first = max(first, now - LONGEST)
    async with cloud.database.reading() as connection:
        if await devices.find(connection, key) is None:
            raise unknown_device(device_id)
    found = await plot(cloud.database, key, first, max(first, last), names, now)
    answer = {
        "device_id": device_id,
        "resolution": found.resolution,
        "fields": names,
        "data": [found.times, *found.values],
    }
    return await asyncio.to_thread(JSONResponse, answer)


def _names(asked: str) -> list[str]:
    names = [name.strip() for name in asked.split(",")]
    for name in names:
        try:
            history.parse_name(name)
        except KeyError:
            known = ", ".join(history.FIELDS)
            raise Refusal(
                422, f"fields: {name[:60]!r} is none of {known}; of numbers also e.g. temperature.max", "invalid"
            ) from None
    if len(names) > _MOST:
        raise Refusal(422, f"fields: at most {_MOST} at once", "invalid")
    return names
