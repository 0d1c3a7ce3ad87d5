"""`GET /v1/devices/{device_id}/commands`: a device opens its stream (commands/event_stream.py).

Served before FastAPI, whose stacks cost more than the stream itself; FastAPI describes it and answers other methods.
"""

import re
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Query, Request, Response
from starlette.types import Receive, Scope, Send

from visant_cloud import problems
from visant_cloud.access import authenticate
from visant_cloud.commands.event_stream import stream
from visant_cloud.context import Cloud, cloud_of
from visant_cloud.openapi import refuses
from visant_cloud.store.devices import Device

router = APIRouter(tags=["device"])
_PATH = re.compile(r"/v1/devices/[^/]+/commands")

PING_EVERY_MIN, PING_EVERY_MAX = 5.0, 600.0
"""Seconds between pings that a device may ask for: one whose traffic is paid for by the byte wants few."""


def is_stream(scope: Scope) -> bool:
    """Whether a request is for `serve`."""
    return scope["type"] == "http" and scope["method"] == "GET" and _PATH.fullmatch(scope["path"]) is not None


async def serve(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI: the stream, or a problem that says why there is none."""
    request = Request(scope)
    cloud = cloud_of(request)
    try:
        device, cloud_id, ping_every = await _let_in(request, cloud)
    except Exception as error:
        answer = problems.answer(error, scope["path"])
        if answer is None:
            await problems.broken()(scope, receive, send)
            raise
        await answer(scope, receive, send)
        return
    del request
    await stream(cloud, cloud_id, device, ping_every, scope, send)


async def _let_in(request: Request, cloud: Cloud) -> tuple[Device, str, float]:
    if cloud.hub.closing:
        raise problems.ending()
    address = authenticate.address_of(request)
    strangers = cloud.arrivals.strangers_at(address)
    if not strangers:
        await cloud.arrivals.wait()
    device_id = request.scope["path"].split("/")[3]
    asked = dict(parse_qsl(request.scope["query_string"].decode("latin-1"))) if request.scope["query_string"] else {}
    first = True
    while True:
        mark = cloud.hub.mark()
        try:
            device = await authenticate.device(request, device_id, register=True)
        except problems.Refusal:
            if first:
                cloud.arrivals.unknown(address, waited=not strangers)
            raise
        if first:
            cloud.arrivals.again(device.device_key)
            if strangers:
                await cloud.arrivals.wait()
        first = False
        cloud_id = await cloud.id_for(device.organisation_id)
        await cloud.hub.settle(device.device_key)
        if not cloud.hub.changed_since(mark, device.device_key):  # else it is read again: `connected` tells what is
            break
    version = asked.get("device_version", "")[:100]
    if version and version != device.device_version:
        cloud.journal.mark_version(device.device_key, version)
    return device, cloud_id, wanted_pings(asked.get("ping_every"), cloud.settings.ping_every)


def wanted_pings(asked: str | None, ours: float) -> float:
    """Seconds between pings: as the device asked where that can be read and is within bounds, else `ours`."""
    try:
        seconds = float(asked or "")
    except ValueError:
        return ours
    return seconds if PING_EVERY_MIN <= seconds <= PING_EVERY_MAX else ours


@router.get(
    "/v1/devices/{device_id}/commands",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}}, **refuses(429)},
)
async def commands(
    device_id: str, device_version: str | None = None, ping_every: Annotated[float | None, Query()] = None
) -> None:
    """The device's commands as server-sent events; every connection begins with all that wait for an outcome.

    `ping_every`: seconds between pings on this stream, 5 to 600, instead of the cloud's PING_EVERY.
    """
    raise AssertionError("answered by `serve`, before FastAPI")
