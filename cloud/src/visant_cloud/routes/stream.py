"""`GET /v1/devices/{device_id}/commands`: a device opens its stream (commands/event_stream.py)."""

from fastapi import APIRouter, Request, Response

from visant_cloud.access import authenticate
from visant_cloud.commands.event_stream import CommandStream
from visant_cloud.context import cloud_of
from visant_cloud.store import devices

router = APIRouter(tags=["device"])


@router.get(
    "/v1/devices/{device_id}/commands", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}}
)
async def commands(request: Request, device_id: str, device_version: str | None = None) -> CommandStream:
    """The device's commands as server-sent events; every connection begins with all that wait for an outcome."""
    cloud = cloud_of(request)
    device = await authenticate.device(request, device_id, register=True)
    if device_version and device_version[:100] != device.device_version:
        async with cloud.database.writing() as connection:
            await devices.change(connection, device.device_key, device_version=device_version[:100])
    return CommandStream(cloud, await cloud.id_for(device.organisation_id), device)
