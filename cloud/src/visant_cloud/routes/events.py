"""`GET /v1/events`: what happens, as a stream of server-sent events that goes on from where a reader had got to."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from visant_cloud import problems
from visant_cloud.access.callers import Viewer
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.access.shares import ALLOWANCE
from visant_cloud.context import cloud_of
from visant_cloud.events.selection import Selection, chosen_types
from visant_cloud.events.stream import EventAnswer, EventStream
from visant_cloud.openapi import refuses
from visant_cloud.store.chosen_devices import ChosenDevices

router = APIRouter(route_class=GuardedRoute, tags=["operator"])
Number = Annotated[int | None, Query(ge=0, lt=2**63)]


@router.get(
    "/v1/events",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}}, **refuses(404, 429)},
)
async def stream(
    request: Request,
    caller: Viewer,
    types: Annotated[str | None, Query(max_length=1000)] = None,
    device_id: str | None = None,
    site: Annotated[str | None, Query(max_length=100)] = None,
    group: Annotated[str | None, Query(max_length=100)] = None,
    tag: Annotated[str | None, Query(max_length=50)] = None,
    after: Number = None,
    last_event_id: Annotated[int | None, Header(ge=0, lt=2**63)] = None,
) -> Response:
    """Events as they happen, or from after one that is known. All filters that are given must fit.

    `types`: with commas between, e.g. `trigger.ended,alert.*`. `after`: the id to go on from, 0 for all that is kept;
    the header Last-Event-ID, with which browsers come back, wins over it. Without either: from now on.
    """
    cloud = cloud_of(request)
    key = None if device_id is None else caller.key(device_id)
    wanted = Selection(ChosenDevices(caller.scope, (), site, group, tag), chosen_types(types), key)
    await wanted.check(cloud.database)
    if cloud.hub.closing:
        raise problems.ending()
    allowance = request.scope[ALLOWANCE]
    reader = f"{caller.scope.organisation_id}/{caller.way}/{caller.name}"
    cloud.shares.readers.enter(reader)
    known = last_event_id if last_event_id is not None else after
    one = EventStream(cloud, wanted, known, partial(allowance.again, request))
    return EventAnswer(cloud, one, cloud.shares.readers, reader)
