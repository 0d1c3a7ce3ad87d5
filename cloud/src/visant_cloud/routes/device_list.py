"""`GET /v1/devices`: all devices, or a page of those that a filter chooses, trouble first."""

import asyncio
from collections import Counter
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from visant_cloud.access.body_limits import clean_json
from visant_cloud.access.callers import Viewer
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.context import cloud_of
from visant_cloud.fleet import device_rows, filter
from visant_cloud.fleet.filter import FilterError
from visant_cloud.fleet.selection import streams_of
from visant_cloud.problems import Refusal
from visant_cloud.store import device_search
from visant_cloud.store.device_search import Sort, WrongCursor
from visant_cloud.views import answers

router = APIRouter(route_class=GuardedRoute, dependencies=[Depends(clean_json)], tags=["operator"])
_A_PAGE = 100
FilterText = Annotated[
    str | None,
    Query(
        alias="filter",
        max_length=filter.LONGEST,
        description='As `state:offline group:north version:<2.1 -tag:door name~"front desk"`; docs/operate/fleet.md',
    ),
]


@router.get("/v1/devices", response_model=answers.DeviceList)
async def listing(
    request: Request,
    caller: Viewer,
    state: answers.State | None = None,
    chosen: FilterText = None,
    sort: Sort | None = None,
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
    limit: Annotated[int | None, Query(ge=1, le=1000)] = None,
) -> Response:
    """Every device by id, or those in one state. With `filter`, `sort`, `cursor` or `limit`: a page of those that fit.

    A page has 100 devices where no limit is named, and begins with those that have an open alert, are degraded or
    offline. Devices may change their place between two pages; by `sort=id` none is left out or comes twice.
    """
    cloud = cloud_of(request)
    if (chosen, sort, cursor, limit) == (None, None, None, None):
        async with cloud.database.reading() as connection:
            shown = await device_rows.everyone(connection, cloud, caller.scope)
        if state is not None:
            shown = [one for one in shown if one["state"] == state]
        alerting = sum(bool(one["health"]["causes"]) for one in shown)
        found = device_search.Found(len(shown), alerting, dict(Counter(one["state"] for one in shown)))
    else:
        if state is not None:
            chosen = f"state:{state} {chosen or ''}"
        mine = caller.scope.organisation_id
        try:
            terms = filter.parse(chosen or "")
            async with cloud.database.reading() as connection:
                found = await device_search.page(
                    connection,
                    caller.scope,
                    terms,
                    streams_of(cloud, mine),
                    sort=sort or "trouble",
                    cursor=cursor,
                    limit=limit or _A_PAGE,
                )
                shown = await device_rows.of_keys(connection, cloud, mine, found.device_keys)
        except (FilterError, WrongCursor) as error:
            raise Refusal(422, str(error), "invalid") from None
    answer = {
        "devices": shown,
        "count": len(shown),
        "total": found.total,
        "states": found.states,
        "alerting": found.alerting,
        "next_cursor": found.cursor,
    }
    return await asyncio.to_thread(JSONResponse, answer)
